"""PostgreSQL freezes, dies, is full or only reads: requests end by their limits and recover."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from lab.stack import process as server_process
from lab.stack.postgres import Postgres
from service.application.settings import Settings
from service.infrastructure.db.engine import make_engine
from service.infrastructure.db.migrations import migrate

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

pytestmark = pytest.mark.postgres

SUGGEST = "/v1/activities/suggest"
CLEAR = {"urn:problem:store-busy", "urn:problem:store-unavailable", "urn:problem:timed-out"}
"""The problems that tell a client to come again."""


@pytest.fixture(scope="module")
def own(postgres_binaries: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL that may be killed; it takes twelve connections."""
    folder = tmp_path_factory.mktemp("mortal")
    with Postgres.start(folder, max_connections=12, reserved_connections="0") as running:
        yield running


@pytest.fixture(scope="module")
def own_database(own: Postgres) -> str:
    url = own.new_database()
    migrate(url)
    return url


@pytest.fixture
def database_url(own_database: str) -> str:
    return own_database


def restart(own: Postgres) -> None:
    """Start the server again, on its old port and data, as a supervisor would."""

    def ready() -> bool:
        try:
            psycopg.connect(own.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    own.process = server_process.start(own.process.program, ready=ready)


def sockets() -> int:
    """Return how many sockets this process has open, without those of forgotten errors."""
    # A connect that was given up hangs on its traceback until the next collection.
    gc.collect()
    count = 0
    for each in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{each}").startswith("socket:")
        except FileNotFoundError:
            continue
    return count


class Calls:
    """Requests of a hundred users, told by when they began and how they ended."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.told: list[tuple[float, float, httpx.Response]] = []
        self._open: set[asyncio.Task[None]] = set()

    async def one(self) -> None:
        began_s = time.monotonic()
        user = {"user_id": f"u{int(began_s * 1000) % 100}"}
        answer = await self.client.post(SUGGEST, json=user)
        self.told.append((began_s, time.monotonic() - began_s, answer))

    async def keep_coming(self, for_s: float, *, per_s: float) -> None:
        until_s = time.monotonic() + for_s
        while time.monotonic() < until_s:
            task = asyncio.create_task(self.one())
            self._open.add(task)
            task.add_done_callback(self._open.discard)
            await asyncio.sleep(1 / per_s)

    async def ended(self) -> None:
        await asyncio.gather(*self._open)


def kinds(told: list[tuple[float, float, httpx.Response]]) -> Counter[str]:
    return Counter(
        "ok" if answer.status_code == 200 else answer.json()["type"] for _, _, answer in told
    )


async def test_requests_end_by_their_limits_while_postgresql_is_frozen_and_recover(running, own):
    """Fifty seconds of silence under load, played ten times as fast."""
    open_before = sockets()
    async with running(pool_size=5, time_scale=0.1) as client:
        calls = Calls(client)
        await calls.keep_coming(0.5, per_s=20)
        await calls.ended()
        healthy, calls.told = kinds(calls.told), []
        own.process.freeze()
        try:
            await calls.keep_coming(5, per_s=20)
        finally:
            own.process.thaw()
        thawed_s = time.monotonic()
        await calls.keep_coming(1.5, per_s=20)
        await calls.ended()
        open_after = sockets()

    assert set(healthy) == {"ok"}
    found = kinds(calls.told)
    assert set(found) <= CLEAR | {"ok"}
    assert set(found) >= {"ok", "urn:problem:store-busy", "urn:problem:store-unavailable"}
    # Waiting for the pool, connecting and one statement: the ladder of a request, on a machine that
    # is busy. Whoever waits for the server itself waits for five seconds.
    assert max(took_s for _, took_s, _ in calls.told) < 0.5 + 0.5 + 1.1 + 2
    late = [told for told in calls.told if told[0] > thawed_s + 0.5]
    assert set(kinds(late)) == {"ok"}
    # The pool, and a health check that may be under way.
    assert open_after <= open_before + 5 + 1


async def test_a_client_that_goes_away_frees_the_connection_of_a_frozen_server(running, own):
    async with running(pool_size=1, timeouts={"statement_s": 2}) as client:
        calls = Calls(client)
        await calls.one()
        own.process.freeze()
        try:
            gone = asyncio.create_task(calls.one())
            await asyncio.sleep(0.2)
            gone.cancel()
            began_s = time.monotonic()
            with pytest.raises(asyncio.CancelledError):
                await gone
            took_s = time.monotonic() - began_s
        finally:
            own.process.thaw()
        await calls.one()

    assert took_s < 1
    assert kinds(calls.told) == {"ok": 2}


async def test_a_cancelled_statement_is_cancelled_in_the_server_too(database_url):
    engine = make_engine(Settings(database_url=database_url))

    async def sleep() -> None:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT pg_sleep(8)"))

    task = asyncio.create_task(sleep())
    await asyncio.sleep(0.5)
    task.cancel()
    await asyncio.wait({task})
    await asyncio.sleep(0.2)
    with psycopg.connect(database_url) as beside:
        busy = beside.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' "
            "AND state = 'active'"
        ).fetchone()
    await engine.dispose()

    assert busy == (0,)


@asynccontextmanager
async def warm(running, **settings: object) -> AsyncIterator[Calls]:
    """The service with a full pool of idle connections."""
    async with running(**settings) as client:
        calls = Calls(client)
        await asyncio.gather(*(calls.one() for _ in range(12)))
        assert set(kinds(calls.told)) == {"ok"}
        calls.told = []
        yield calls


async def test_a_restart_between_requests_fails_none(running, own):
    async with warm(running, pool_size=5) as calls:
        own.process.stop()
        restart(own)
        await asyncio.gather(*(calls.one() for _ in range(10)))

    assert kinds(calls.told) == {"ok": 10}


async def test_a_killed_server_fails_requests_clearly_and_those_after_its_return_succeed(
    running, own
):
    async with warm(running, pool_size=5) as calls:
        load = asyncio.create_task(calls.keep_coming(60, per_s=20))
        await asyncio.sleep(0.3)
        own.process.kill()
        await asyncio.sleep(1)
        await asyncio.to_thread(restart, own)
        back_s = time.monotonic()
        await asyncio.sleep(1)
        load.cancel()
        await calls.ended()

    assert set(kinds(calls.told)) == {"ok", "urn:problem:store-unavailable"}
    after = [told for told in calls.told if told[0] > back_s]
    assert set(kinds(after)) == {"ok"}


async def test_a_server_with_too_many_clients_is_a_503(running, own, database_url):
    async with running() as client:
        others: list[psycopg.Connection] = []
        with suppress(psycopg.OperationalError):
            others += (psycopg.connect(database_url) for _ in range(20))
        calls = Calls(client)
        await calls.one()
        for other in others:
            other.close()
        await asyncio.sleep(0.3)
        await calls.one()

    assert kinds(calls.told) == {"urn:problem:store-unavailable": 1, "ok": 1}


async def test_a_server_that_only_reads_is_a_503_until_it_is_promoted(running, own, database_url):
    def only_reads(yes: bool) -> None:
        with psycopg.connect(own.url, autocommit=True) as beside:
            beside.execute(f"ALTER SYSTEM SET default_transaction_read_only = {yes}")
            beside.execute("SELECT pg_reload_conf()")
            time.sleep(0.3)

    new = {"conversation_id": "c1", "user_id": "u1", "log": []}
    async with warm(running, pool_size=5) as calls:
        only_reads(True)
        refused = await calls.client.post("/v1/conversations/end", json=new)
        only_reads(False)
        stored = await calls.client.post("/v1/conversations/end", json=new)

    assert (refused.status_code, refused.json()["type"]) == (503, "urn:problem:store-unavailable")
    assert stored.status_code in (200, 201)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = make_engine(Settings(database_url=database_url))
    yield engine
    await engine.dispose()


async def test_no_error_prints_what_was_said(engine):
    failing = text("SELECT 1 / (length(CAST(:said AS text)) - 9)")
    async with engine.connect() as connection:
        with pytest.raises(DBAPIError, match="division by zero") as caught:
            await connection.execute(failing, {"said": "my secret"})

    assert "secret" not in str(caught.value)
