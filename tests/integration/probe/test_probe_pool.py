"""Waits and holds on a real PostgreSQL, sync and async."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

import why504
from why504 import names
from why504.config import ProbeSettings
from why504.probe.setup import Probe
from why504.testing import CollectedRecords

pytestmark = pytest.mark.postgres
COLLECTOR: list[str] = []
HERE = "tests/integration/probe/test_probe_pool.py"


def line_of(mark: str) -> int:
    lines = Path(__file__).read_text().splitlines()
    return next(n for n, line in enumerate(lines, 1) if line.endswith(f"# {mark}"))


@pytest.fixture(autouse=True)
def _export_somewhere(collector) -> None:
    COLLECTOR[:] = [collector.endpoint]


@pytest.fixture(scope="module")
def url(postgres) -> str:
    return postgres.new_database().replace("postgresql://", "postgresql+psycopg://", 1)


def watch(engine: Engine | AsyncEngine, **settings: float) -> tuple[Probe, CollectedRecords]:
    """Instrument an application whose records are kept here."""
    chosen = {"snapshot_after_s": 0.2, **settings}
    probe = why504.instrument(
        FastAPI(),
        engine=engine,
        settings=ProbeSettings(endpoint=COLLECTOR[0], metrics_port=-1, **chosen),
    )
    kept = CollectedRecords()
    probe.sender.send = kept.send
    probe.start()
    return probe, kept


@pytest.fixture
def sync_engine(url) -> Iterator[Engine]:
    engine = create_engine(url, pool_size=1, max_overflow=0, pool_timeout=0.5)
    yield engine
    engine.dispose()


@pytest.fixture
def watched(sync_engine) -> Iterator[tuple[Engine, Probe, CollectedRecords]]:
    probe, kept = watch(sync_engine)
    yield sync_engine, probe, kept
    probe.shutdown()


def outcomes(records: list) -> list[str]:
    return [str(record.attributes[names.OUTCOME]) for record in records]


def finals(kept: CollectedRecords, kind: str) -> list:
    return [r for r in kept.of_kind(kind) if names.SNAPSHOT_OF not in r.attributes]


def test_a_thread_that_queues_is_a_wait_and_both_holders_are_told(watched):
    engine, _, kept = watched
    taken = threading.Event()
    pids: list[int] = []

    def hold() -> None:
        with engine.connect() as connection:  # holder
            pids.append(connection.execute(text("select pg_backend_pid()")).scalar())
            taken.set()
            time.sleep(0.3)

    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait()
    with engine.connect():  # waiter
        time.sleep(0.15)
    holder.join()

    (wait,) = finals(kept, names.WAIT)
    holds = finals(kept, names.HOLD)
    assert wait.attributes[names.OUTCOME] == "acquired"
    assert 0.2 < (wait.end_ns - wait.start_ns) / 1e9 < 0.5
    assert wait.attributes[names.CODE_LINE] == line_of("waiter")
    assert wait.attributes[names.POOL_CAPACITY] == 1
    assert wait.attributes[names.POOL_IN_USE] == 1
    assert [h.attributes[names.CODE_LINE] for h in holds] == [line_of("holder"), line_of("waiter")]
    assert [h.attributes[names.CODE_FILE] for h in holds] == [HERE, HERE]
    assert [h.attributes[names.BACKEND_PID] for h in holds] == pids * 2


def test_a_wait_that_times_out_says_so_and_the_error_is_untouched(watched):
    engine, probe, kept = watched
    with engine.connect(), pytest.raises(PoolTimeout), engine.connect():
        pass

    assert outcomes(finals(kept, names.WAIT)) == ["timeout"]
    assert probe.pools[0].timeouts == 1
    assert probe.pools[0].waiting() == 0
    assert probe.pools[0].holds() == []


def test_a_healthy_pool_writes_nothing(watched):
    engine, _, kept = watched

    for _ in range(20):
        with engine.connect() as connection:
            connection.execute(text("select 1"))

    assert kept.of_kind(names.WAIT) == []
    assert len(kept.of_kind(names.HOLD)) <= 1  # the first one connects, which may take 0.1 s


def test_connecting_is_not_queueing(url):
    engine = create_engine(url, pool_size=1, max_overflow=1, pool_timeout=5)

    probe, kept = watch(engine)

    @event.listens_for(engine, "do_connect")
    def slow(*args: object) -> None:
        time.sleep(0.6)

    try:
        with engine.connect():
            pass
    finally:
        probe.shutdown()
        engine.dispose()

    assert kept.of_kind(names.WAIT) == []
    told = {tuple(s.name.split()[:2]) for s in kept.of_kind(names.SNAPSHOT)}
    assert told == {("snapshot", "connect")}, "however often a busy machine lets it be told"
    (hold,) = finals(kept, names.HOLD)
    assert (hold.end_ns - hold.start_ns) / 1e9 > 0.25


def test_a_wait_ends_where_connecting_begins(url):
    engine = create_engine(url, pool_size=1, max_overflow=0, pool_timeout=5)
    slow = threading.Event()

    probe, kept = watch(engine)

    @event.listens_for(engine, "do_connect")
    def connect(*args: object) -> None:
        if slow.is_set():
            time.sleep(0.4)

    try:
        first = engine.connect()
        slow.set()
        threading.Timer(0.2, lambda: (first.invalidate(), first.close())).start()
        with engine.connect():
            pass
    finally:
        probe.shutdown()
        engine.dispose()

    (wait,) = finals(kept, names.WAIT)
    assert 0.15 < (wait.end_ns - wait.start_ns) / 1e9 < 0.35
    assert (finals(kept, names.HOLD)[-1].end_ns - finals(kept, names.HOLD)[-1].start_ns) / 1e9 > 0.4


def test_waits_are_told_after_the_pool_was_disposed(watched):
    engine, _, kept = watched
    with engine.connect():
        pass
    engine.dispose()

    with engine.connect(), pytest.raises(PoolTimeout), engine.connect():
        pass

    assert outcomes(finals(kept, names.WAIT)) == ["timeout"]


def test_a_connection_given_back_after_dispose_frees_no_slot_of_the_new_pool(watched):
    engine, probe, _ = watched
    old, old_pool = engine.connect(), engine.pool
    engine.dispose()
    new = engine.connect()
    old.close()
    old_pool.dispose()

    assert probe.pools[0].slots.taken == 1
    assert len(probe.pools[0].holds()) == 1
    new.close()
    assert probe.pools[0].slots.taken == 0


def test_a_clone_of_the_engine_shares_the_watched_pool(watched):
    engine, _, kept = watched
    clone = engine.execution_options(isolation_level="AUTOCOMMIT")

    with clone.connect(), pytest.raises(PoolTimeout), engine.connect():
        pass

    assert outcomes(finals(kept, names.WAIT)) == ["timeout"]


def test_a_leaked_connection_stays_an_open_hold_and_keeps_being_told(watched):
    engine, probe, kept = watched
    leaked = engine.connect()  # leak

    deadline = time.monotonic() + 5
    while len(kept.of_kind(names.HOLD)) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    told = kept.of_kind(names.HOLD)

    assert set(outcomes(told)) == {"open"}
    assert [t.attributes[names.SNAPSHOT_SEQUENCE] for t in told[:3]] == [1, 2, 3]
    assert len({t.span_id for t in told}) == len(told)
    assert {t.attributes[names.CODE_LINE] for t in told} == {line_of("leak")}
    # This thread goes on, so nobody can say that the connection is kept for nobody.
    assert not any(names.REQUEST_ENDED in t.attributes for t in told)
    leaked.close()
    assert outcomes(finals(kept, names.HOLD)) == ["released"]
    assert probe.pools[0].slots.taken == 0


def test_a_detached_connection_is_a_hold_that_ended(watched):
    engine, probe, kept = watched
    connection = engine.connect()
    time.sleep(0.15)
    connection.detach()

    assert outcomes(finals(kept, names.HOLD)) == ["detached"]
    assert probe.pools[0].slots.taken == 0
    connection.close()


def test_an_invalidated_connection_leaves_no_hold_behind(watched):
    engine, probe, _ = watched
    with engine.connect() as connection:
        connection.invalidate()

    assert probe.pools[0].slots.taken == 0
    assert probe.pools[0].holds() == []


def test_more_threads_than_slots_are_exactly_as_many_waits_as_too_many(url):
    engine = create_engine(url, pool_size=2, max_overflow=1, pool_timeout=30)
    probe, kept = watch(engine)
    held, done = threading.Semaphore(0), threading.Event()
    most: list[int] = []

    def work() -> None:
        with engine.connect():
            most.append(probe.pools[0].slots.taken)
            held.release()
            done.wait()
            time.sleep(0.2)  # long enough to be told although nobody waits any more

    threads = [threading.Thread(target=work) for _ in range(8)]
    try:
        for thread in threads[:3]:
            thread.start()
        for _ in range(3):
            held.acquire()
        for thread in threads[3:]:
            thread.start()
        while probe.pools[0].waiting() < 5:
            time.sleep(0.01)
        done.set()
        for thread in threads:
            thread.join()
    finally:
        done.set()
        probe.shutdown()
        engine.dispose()

    assert outcomes(finals(kept, names.WAIT)) == ["acquired"] * 5
    assert len(finals(kept, names.HOLD)) == 8
    assert max(most) == 3


def test_shutdown_gives_the_engine_back_as_it_was(sync_engine):
    pool = sync_engine.pool
    probe, _ = watch(sync_engine)
    probe.shutdown()

    assert "connect" not in vars(pool)
    with sync_engine.connect() as connection:
        assert connection.execute(text("select 1")).scalar() == 1
    sync_engine.dispose()
    assert "connect" not in vars(sync_engine.pool)


# --- async ---------------------------------------------------------------------------------------


async def test_async_waits_and_holds_name_the_callers_line(url):
    engine = create_async_engine(url, pool_size=1, max_overflow=0, pool_timeout=5)
    probe, kept = watch(engine)
    try:

        async def hold() -> None:
            async with engine.connect() as connection:  # async holder
                await connection.execute(text("select pg_sleep(0.3)"))

        async def wait() -> int:
            await asyncio.sleep(0.1)
            async with engine.connect() as connection:  # async waiter
                found = await connection.execute(text("select pg_backend_pid(), pg_sleep(0.15)"))
                return found.scalar_one()

        _, pid = await asyncio.gather(hold(), wait())
    finally:
        probe.shutdown()
        await engine.dispose()

    (waited,) = finals(kept, names.WAIT)
    holds = finals(kept, names.HOLD)
    assert waited.attributes[names.OUTCOME] == "acquired"
    assert waited.attributes[names.CODE_LINE] == line_of("async waiter")
    assert [h.attributes[names.CODE_LINE] for h in holds] == [
        line_of("async holder"),
        line_of("async waiter"),
    ]
    assert holds[1].attributes[names.BACKEND_PID] == pid


async def test_an_async_wait_that_is_cancelled_says_so(url):
    engine = create_async_engine(url, pool_size=1, max_overflow=0, pool_timeout=5)
    probe, kept = watch(engine)
    try:
        async with engine.connect():
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(engine.connect().start(), 0.15)
    finally:
        probe.shutdown()
        await engine.dispose()

    assert outcomes(finals(kept, names.WAIT)) == ["cancelled"]
    assert probe.pools[0].slots.taken == 0


async def test_an_async_wait_that_times_out_says_so(url):
    engine = create_async_engine(url, pool_size=1, max_overflow=0, pool_timeout=0.7)
    probe, kept = watch(engine)
    try:
        async with engine.connect():
            with pytest.raises(PoolTimeout):
                async with engine.connect():
                    pass
    finally:
        probe.shutdown()
        await engine.dispose()

    told = kept.of_kind(names.WAIT)
    assert (outcomes(told)[0], outcomes(told)[-1]) == ("open", "timeout")
    assert told[0].attributes[names.SNAPSHOT_OF] == f"{told[-1].span_id:016x}"


async def test_a_cancelled_statement_leaves_no_span_and_no_hold_open(url):
    engine = create_async_engine(url, pool_size=1, max_overflow=0, pool_timeout=5)
    probe, _ = watch(engine)
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2), engine.connect() as connection:
                await connection.execute(text("select pg_sleep(5)"))
        left = (len(probe.registry.spans), probe.pools[0].slots.taken)
    finally:
        probe.shutdown()
        await engine.dispose()

    assert left == (0, 0)


async def test_an_open_hold_shows_what_its_holder_does_now(url):
    engine = create_async_engine(url, pool_size=1, max_overflow=0, pool_timeout=5)
    probe, kept = watch(engine)
    try:
        async with engine.connect():
            await asyncio.sleep(0.6)  # doing now
    finally:
        probe.shutdown()
        await engine.dispose()

    open_hold = kept.of_kind(names.HOLD)[0]
    assert open_hold.attributes[names.OUTCOME] == "open"
    stack = str(open_hold.attributes[names.CODE_STACKTRACE])
    assert f'File "{HERE}", line {line_of("doing now")}' in stack
