"""asyncpg's pools, connections and statements, on a real PostgreSQL."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from tests.lines import HERE
from why504 import names

pytestmark = pytest.mark.postgres
line_of = HERE(__file__)


@pytest.fixture(scope="module")
def url(postgres) -> str:
    return postgres.new_database()


async def test_who_queues_waits_and_both_holders_are_told_with_their_backends(told, url):
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool:
        pids = []

        async def hold(line: str) -> None:
            async with pool.acquire() as connection:  # checkout
                pids.append(connection.get_server_pid())
                await asyncio.sleep(0.1)

        with told.request():
            await asyncio.gather(hold("a"), hold("b"), hold("c"))

    waits, holds = told.finals(names.WAIT), told.finals(names.HOLD)
    assert [wait.attributes[names.OUTCOME] for wait in waits] == ["acquired"] * 2
    assert {wait.attributes[names.RESOURCE] for wait in waits} == {"db.pool:main"}
    assert [wait.attributes[names.POOL_WAITING] for wait in waits] == [0, 1]
    assert {wait.attributes[names.POOL_CAPACITY] for wait in waits} == {1}
    assert [hold.attributes[names.BACKEND_PID] for hold in holds] == pids
    assert {hold.attributes[names.CODE_LINE] for hold in holds} == {line_of("checkout")}
    (request,) = told.spans("request")
    assert {record.parent_id for record in [*waits, *holds]} == {request.context.span_id}


async def test_a_wait_that_times_out_says_so_and_leaves_nothing_behind(told, url):
    async with (
        asyncpg.create_pool(url, min_size=1, max_size=1) as pool,
        pool.acquire(),
    ):
        with pytest.raises(TimeoutError):
            await pool.acquire(timeout=0.05)

    assert [wait.attributes[names.OUTCOME] for wait in told.finals(names.WAIT)] == ["timeout"]
    assert (told.probe.pools[0].timeouts if len(told.probe.pools) else 1) == 1


async def test_who_is_cancelled_while_it_queues_is_told(told, url):
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool, pool.acquire():
        task = asyncio.create_task(pool.fetch("select 1"))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert told.pool("main").waiting() == 0

    assert [wait.attributes[names.OUTCOME] for wait in told.finals(names.WAIT)] == ["cancelled"]


@pytest.mark.parametrize("how", ["release", "close", "terminate"])
async def test_a_connection_that_goes_any_way_leaves_no_hold(told, url, how):
    pool = await asyncpg.create_pool(url, min_size=1, max_size=1)
    connection = await pool.acquire()
    watched = told.pool("main")
    assert len(watched.holds()) == 1
    if how == "release":
        await pool.release(connection)
    elif how == "close":
        await connection.close()
    else:
        pool.terminate()

    assert watched.holds() == []
    pool.terminate()


async def test_connecting_is_no_wait_and_has_a_span(told, url):
    async with asyncpg.create_pool(url, min_size=0, max_size=2) as pool:
        with told.request():
            async with pool.acquire():
                pass

    assert told.finals(names.WAIT) == []
    (connect,) = told.spans("connect")
    assert connect.attributes[names.DB_SYSTEM] == "postgresql"
    assert connect.attributes[names.SERVER_ADDRESS] == "127.0.0.1"
    assert connect.attributes[names.DB_NAMESPACE] == url.rpartition("/")[2]


async def test_a_server_that_is_gone_is_an_error_of_connecting(told, free_port):
    with pytest.raises(OSError):
        await asyncpg.connect(f"postgresql://nobody:secret@127.0.0.1:{free_port}/db")

    (connect,) = told.spans("connect db")
    assert not connect.status.is_ok
    assert connect.attributes[names.ERROR_TYPE] == "ConnectionRefusedError"
    assert "secret" not in str(connect.attributes)


async def test_statements_have_one_span_each_without_values(told, url):
    connection = await asyncpg.connect(url)
    with told.request():
        await connection.execute("create temp table secrets (id int, word text)")
        await connection.execute("insert into secrets values (4711, 'hunter2')")
        await connection.executemany("insert into secrets values ($1, $2)", [(1, "a"), (2, "b")])
        await connection.fetch("select * from secrets where word = $1", "hunter2")
        await connection.fetchrow("select 1")
        await connection.fetchval("select count(*) from secrets")
        statement = await connection.prepare("select id from secrets")
        await statement.fetch()
        async with connection.transaction():
            async for _ in connection.cursor("select word from secrets"):
                pass
        with pytest.raises(asyncpg.PostgresError):
            await connection.fetch("select * from nowhere")
    await connection.close()

    found = [span for span in told.spans() if names.DB_QUERY in span.attributes]
    assert [span.name for span in found] == [
        "CREATE", "INSERT secrets", "INSERT secrets", "SELECT secrets", "SELECT", "SELECT secrets",
        "PREPARE", "SELECT secrets", "BEGIN", "SELECT secrets", "COMMIT", "SELECT nowhere",
    ]  # fmt: skip
    (request,) = told.spans("request")
    assert {span.parent.span_id for span in found} == {request.context.span_id}
    assert {span.kind.name for span in found} == {"CLIENT"}
    assert found[3].attributes[names.DB_QUERY] == "select * from secrets where word = $1"
    assert found[3].attributes[names.DB_OPERATION] == "SELECT"
    assert found[3].attributes[names.DB_COLLECTION] == "secrets"
    assert found[-1].attributes[names.DB_STATUS] == "42P01"
    assert "hunter2" not in str([span.attributes for span in told.spans()])
    assert "4711" not in str([span.attributes for span in told.spans()])


async def test_a_statement_has_its_span_however_it_is_given(told, url):
    connection = await asyncpg.connect(url)
    with told.request():
        await connection.execute(query="select 1")
        await connection.executemany(command="select $1::int", args=[(1,)])
        await connection.fetch(query="select 2")
        await connection.prepare(query="select 3")
    await connection.close()

    assert told.queries() == [
        "select ?", "select $1::int", "select ?", "PREPARE x AS select ?"
    ]  # fmt: skip


async def test_a_statement_of_the_pool_itself_is_a_checkout_and_a_span(told, url):
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool:
        with told.request():
            assert await pool.fetchval("select 40 + 2") == 42

    assert told.queries() == ["select ? + ?"]
    assert len(told.finals(names.HOLD)) == 1


async def test_shutdown_gives_asyncpg_its_own_methods_back(told, url):
    told.probe.shutdown()
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool:
        assert await pool.fetchval("select 1") == 1
    assert told.spans() == []
