"""Everything that may hang, hangs: the service answers within its limits nevertheless."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError, InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from service.application.errors import StoreUnavailable
from service.application.ports.unit_of_work import BeginWork, UnitOfWork
from service.application.settings import Settings
from service.infrastructure.db.engine import make_engine
from service.infrastructure.db.health_check import PostgresCheck
from service.infrastructure.db.unit_of_work import SqlUnitOfWork, store_errors
from service.main import Adapters

if TYPE_CHECKING:
    from lab.stack.postgres import Postgres

pytestmark = pytest.mark.postgres

SUGGEST = "/v1/activities/suggest"
USER = {"user_id": "u1"}
BODY = {"conversation_id": "c1", "user_id": "u1", "log": []}


@contextmanager
def frozen(postgres: Postgres) -> Iterator[None]:
    """PostgreSQL accepts connections and answers nothing."""
    postgres.process.freeze()
    try:
        yield
    finally:
        postgres.process.thaw()


@contextmanager
def locked(url: str, statement: str) -> Iterator[None]:
    with psycopg.connect(url) as connection:
        connection.execute(statement)  # type: ignore[arg-type]
        yield
        connection.rollback()


async def timed(call):
    started_s = time.monotonic()
    answer = await call
    return answer, time.monotonic() - started_s


async def test_health_is_well_when_all_is(client):
    answer = await client.get("/v1/health")

    assert answer.status_code == 200
    told = answer.json()
    assert told["status"] == "ok"
    assert told["checks"]["postgresql"]["error"] is None


async def test_health_does_not_queue_behind_the_pool(running, database_url):
    async with running(pool_size=1, timeouts={"checkout_s": 3, "lock_s": 3}) as client:
        await client.post(SUGGEST, json=USER)
        with locked(database_url, "SELECT FROM friendship_status FOR UPDATE"):
            stuck = asyncio.create_task(client.post(SUGGEST, json=USER))
            await asyncio.sleep(0.2)
            answer, took_s = await timed(client.get("/v1/health"))
        await stuck

    assert answer.status_code == 200
    assert took_s < 1


async def test_health_says_that_nobody_listens(free_port):
    check = PostgresCheck(Settings(database_url=f"postgresql://127.0.0.1:{free_port}/x"))

    with pytest.raises(psycopg.OperationalError):
        await check.check()


async def test_an_exhausted_pool_is_a_503_within_the_checkout_limit_and_recovers(
    running, database_url
):
    limits = {"checkout_s": 0.3, "lock_s": 20, "statement_s": 20}
    async with running(pool_size=2, timeouts=limits) as client:
        await client.post(SUGGEST, json=USER)
        with locked(database_url, "SELECT FROM friendship_status FOR UPDATE"):
            holders = [asyncio.create_task(client.post(SUGGEST, json=USER)) for _ in range(2)]
            await asyncio.sleep(0.2)
            refused, took_s = await timed(client.post(SUGGEST, json={"user_id": "u2"}))
            live = await client.get("/v1/livez")
        held = await asyncio.gather(*holders)
        after = await client.post(SUGGEST, json={"user_id": "u2"})

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.json()["type"] == "urn:problem:store-busy"
    assert 0.25 < took_s < 2
    assert live.status_code == 200
    assert [answer.status_code for answer in (*held, after)] == [200, 200, 200]


async def test_a_row_that_stays_locked_is_a_503_within_the_lock_limit(running, database_url):
    async with running(timeouts={"lock_s": 0.3}) as client:
        await client.post(SUGGEST, json=USER)
        with locked(database_url, "SELECT FROM friendship_status FOR UPDATE"):
            answer, took_s = await timed(client.post(SUGGEST, json=USER))

    assert answer.json()["type"] == "urn:problem:store-busy"
    assert answer.json()["detail"] == "a row stayed locked for too long"
    assert 0.25 < took_s < 2


async def test_a_statement_that_takes_too_long_is_a_503(running, database_url):
    async with running(timeouts={"statement_s": 0.3, "lock_s": None}) as client:
        await client.post(SUGGEST, json=USER)
        with locked(database_url, "LOCK TABLE prompt_template"):
            answer, took_s = await timed(client.post(SUGGEST, json=USER))

    assert (answer.status_code, answer.json()["type"]) == (503, "urn:problem:store-unavailable")
    assert took_s < 2


async def test_without_limits_only_the_lock_decides_how_long_it_takes(running, database_url):
    none = dict.fromkeys(("application_s", "statement_s", "lock_s", "checkout_s"))
    async with running(pool_size=1, timeouts=none) as client:
        await client.post(SUGGEST, json=USER)
        with locked(database_url, "SELECT FROM friendship_status FOR UPDATE"):
            calls = [asyncio.create_task(client.post(SUGGEST, json=USER)) for _ in range(3)]
            await asyncio.sleep(1)
            assert not any(call.done() for call in calls)
        answers = await asyncio.gather(*calls)

    assert [answer.status_code for answer in answers] == [200] * 3


async def test_the_application_limit_ends_a_request_and_frees_its_connection(running, database_url):
    limits = {"application_s": 0.4, "statement_s": None, "lock_s": None}
    async with running(pool_size=1, timeouts=limits) as client:
        await client.post(SUGGEST, json=USER)
        with locked(database_url, "SELECT FROM friendship_status FOR UPDATE"):
            answer, took_s = await timed(client.post(SUGGEST, json=USER))
            other = await client.post(SUGGEST, json={"user_id": "u2"})

    assert (answer.status_code, answer.json()["type"]) == (503, "urn:problem:timed-out")
    assert took_s < 2
    assert other.status_code == 200


async def test_a_new_connection_to_a_frozen_server_is_bounded(running, postgres):
    async with running(timeouts={"checkout_s": 0.3}) as client:
        with frozen(postgres):
            answer, took_s = await timed(client.post(SUGGEST, json=USER))

    assert (answer.status_code, answer.json()["type"]) == (503, "urn:problem:store-unavailable")
    assert took_s < 2


async def test_a_server_that_closed_every_connection_costs_few_requests(running, rows):
    kill = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'context-handling'"
    )
    async with running(pool_size=5) as client:
        await asyncio.gather(*(client.post(SUGGEST, json=USER) for _ in range(5)))
        rows(kill)
        first = await client.post(SUGGEST, json=USER)
        rest = [await client.post(SUGGEST, json=USER) for _ in range(5)]

    assert first.status_code in (200, 503)
    assert {answer.status_code for answer in rest} == {200}


async def test_a_leaked_unit_of_work_can_be_had_by_swapping_the_adapter(running):
    """The lab's leak: units of work that nobody closes exhaust the pool."""
    leaked: list[AsyncConnection] = []

    def leaking(engine: AsyncEngine) -> BeginWork:
        @asynccontextmanager
        async def begin() -> AsyncIterator[UnitOfWork]:
            with store_errors():
                leaked.append(await engine.connect())
                yield SqlUnitOfWork(AsyncSession(leaked[-1]))

        return begin

    adapters = Adapters(units_of_work=leaking)
    async with running(adapters, pool_size=2, timeouts={"checkout_s": 0.2}) as client:
        users = [{"user_id": f"u{number}"} for number in range(4)]
        answers = [await client.post(SUGGEST, json=user) for user in users]
        for connection in leaked:
            await connection.close()

    assert [answer.status_code for answer in answers] == [200, 200, 503, 503]


async def test_connections_that_are_dead_as_often_as_they_are_made_are_unavailable(postgres):
    engine = make_engine(Settings(database_url=postgres.new_database()))

    @event.listens_for(engine.sync_engine, "checkout")
    def dead(*_: object) -> None:
        raise DisconnectionError

    with pytest.raises(StoreUnavailable, match="die at once"), store_errors():
        async with engine.connect():
            pass
    await engine.dispose()


def test_a_mistake_in_the_use_of_sqlalchemy_is_not_taken_for_an_outage():
    with pytest.raises(InvalidRequestError, match="in a wrong way"), store_errors():
        raise InvalidRequestError("used in a wrong way")


async def test_at_shutdown_every_connection_is_given_back(running, rows):
    async with running() as client:
        await asyncio.gather(*(client.post(SUGGEST, json=USER) for _ in range(5)))

    left = rows(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name = 'context-handling' AND pid <> pg_backend_pid()"
    )
    assert left == []
