"""psycopg's own pools and statements, in threads and in tasks, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import threading
import time

import psycopg
import pytest
from psycopg import sql
from psycopg_pool import AsyncConnectionPool, ConnectionPool, NullConnectionPool, PoolTimeout

from tests.lines import HERE
from why504 import names

pytestmark = pytest.mark.postgres
line_of = HERE(__file__)


@pytest.fixture(scope="module")
def url(postgres) -> str:
    return postgres.new_database()


def test_a_thread_that_queues_waits_and_both_holders_are_told(told, url):
    pids = []
    with ConnectionPool(url, min_size=1, max_size=1, open=True) as pool:
        pool.wait()
        taken = threading.Event()

        def hold() -> None:
            with pool.connection() as connection:  # holder
                pids.append(connection.info.backend_pid)
                taken.set()
                time.sleep(0.2)

        holder = threading.Thread(target=hold)
        holder.start()
        taken.wait()
        with told.request(), pool.connection():  # waiter
            pass
        holder.join()

    (wait,), holds = told.finals(names.WAIT), told.finals(names.HOLD)
    assert wait.attributes[names.OUTCOME] == "acquired"
    assert wait.attributes[names.RESOURCE] == "db.pool:main"
    assert wait.attributes[names.CODE_LINE] == line_of("waiter")
    assert [h.attributes[names.CODE_LINE] for h in holds] == [line_of("holder"), line_of("waiter")]
    assert [h.attributes[names.BACKEND_PID] for h in holds] == pids * 2


async def test_tasks_queue_alike_and_a_pool_keeps_the_name_it_was_given(told, url):
    async with AsyncConnectionPool(url, min_size=1, max_size=1, name="orders") as pool:
        await pool.wait()

        async def hold() -> None:
            async with pool.connection() as connection:
                await connection.execute("select 1")
                await asyncio.sleep(0.1)

        with told.request():
            await asyncio.gather(hold(), hold())

    assert [w.attributes[names.RESOURCE] for w in told.finals(names.WAIT)] == ["db.pool:orders"]
    assert len(told.finals(names.HOLD)) == 2
    assert told.queries() == ["select ?"] * 2


def test_a_wait_that_times_out_says_so(told, url):
    with ConnectionPool(url, min_size=1, max_size=1) as pool:
        pool.wait()
        with pool.connection(), pytest.raises(PoolTimeout), pool.connection(timeout=0.05):
            pass

        assert told.pool("main").timeouts == 1
        assert told.pool("main").waiting() == 0
    assert [wait.attributes[names.OUTCOME] for wait in told.finals(names.WAIT)] == ["timeout"]


def test_a_database_that_is_gone_is_connecting_and_no_wait(told, free_port):
    gone = f"postgresql://nobody:secret@127.0.0.1:{free_port}/db"
    with ConnectionPool(gone, min_size=0, max_size=1, reconnect_timeout=0.1) as pool:
        with told.request(), pytest.raises(PoolTimeout), pool.connection(timeout=0.3):
            pass
        assert told.pool("main").errors == 1

    assert told.finals(names.WAIT) == []
    (connect,) = told.spans("connect db")
    assert connect.attributes[names.ERROR_TYPE] == "PoolTimeout"
    assert connect.attributes[names.SERVER_ADDRESS] == "127.0.0.1"
    assert "secret" not in str(connect.attributes)


def test_a_pool_that_keeps_no_connections_has_holds(told, url):
    with NullConnectionPool(url) as pool, pool.connection():
        assert told.pool("main").slots.capacity() is None
        assert len(told.pool("main").holds()) == 1
    assert told.finals(names.WAIT) == []


def test_statements_have_one_span_each_without_values(told, url):
    with psycopg.connect(url, autocommit=True) as connection, told.request():
        connection.execute("create temp table secrets (id int, word text)")
        with connection.cursor() as cursor:
            cursor.execute("insert into secrets values (%s, %s)", (4711, "hunter2"))
            cursor.executemany("insert into secrets values (%s, 'hunter2')", [(1,), (2,)])
            cursor.execute(
                sql.SQL("select {} from secrets where word = {}").format(
                    sql.Identifier("id"), sql.Literal("hunter2")
                )
            )
        with connection.transaction(), connection.cursor("far") as cursor:
            cursor.execute("select id from secrets")
            cursor.fetchone()
        with pytest.raises(psycopg.Error):
            connection.execute("select * from nowhere")

    found = [span for span in told.spans() if names.DB_QUERY in span.attributes]
    assert [span.attributes[names.DB_QUERY] for span in found] == [
        "create temp table secrets (id int, word text)",
        "insert into secrets values (%s, %s)",
        "insert into secrets values (%s, ?)",
        'select "id" from secrets where word = ?',
        "select id from secrets",
        "FETCH FROM far",
        "select * from nowhere",
    ]
    assert found[-1].attributes[names.DB_STATUS] == "42P01"
    assert {span.attributes[names.DB_NAMESPACE] for span in found} == {url.rpartition("/")[2]}
    assert "hunter2" not in str([span.attributes for span in told.spans()])


async def test_statements_in_tasks_have_one_span_each(told, url):
    with told.request():
        async with await psycopg.AsyncConnection.connect(url) as connection:
            await connection.execute("select 1")
            async with connection.cursor() as cursor:
                await cursor.execute("select %s", (2,))

    assert told.queries() == ["select ?", "select %s"]
    assert len(told.spans("connect")) == 1


def test_shutdown_gives_psycopg_its_own_methods_back(told, url):
    told.probe.shutdown()

    class Mine(psycopg.Connection):
        """A class of the application's own."""

    with Mine.connect(url) as connection:
        assert type(connection) is Mine
        connection.execute("select 1")
    assert told.spans() == []
