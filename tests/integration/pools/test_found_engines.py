"""SQLAlchemy's engines that nobody gave to instrument(), on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref

import pytest
import sqlalchemy as sa
from sqlalchemy import pool as pools
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

import why504
from why504 import names
from why504.config import ProbeSettings

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def url(postgres) -> str:
    return postgres.new_database().replace("postgresql://", "postgresql+psycopg://", 1)


def queue_for_the_only_connection(engine: sa.Engine) -> None:
    """Have a thread keep it for a while, and want it meanwhile."""
    taken = threading.Event()

    def hold() -> None:
        with engine.connect():
            taken.set()
            time.sleep(0.2)

    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait()
    with engine.connect():
        pass
    holder.join()


def test_an_engine_made_before_is_found_and_called_main(url):
    engine = sa.create_engine(url, pool_size=1, max_overflow=0)
    settings = ProbeSettings(endpoint="http://127.0.0.1:9", metrics_port=-1)
    probe = why504.instrument(None, settings=settings)
    try:
        queue_for_the_only_connection(engine)
        assert [pool.name for pool in probe.pools] == ["main"]
        assert probe.pools[0].resource == "db.pool:main"
    finally:
        probe.shutdown()
        engine.dispose()


def test_who_queues_at_a_found_engine_waits_and_its_statements_have_spans(told, url):
    engine = sa.create_engine(url, pool_size=1, max_overflow=0)
    queue_for_the_only_connection(engine)
    with told.request(), engine.connect() as connection:
        connection.execute(text("select 1"))
    engine.dispose()

    (wait,) = told.finals(names.WAIT)
    assert wait.attributes[names.OUTCOME] == "acquired"
    assert wait.attributes[names.POOL_CAPACITY] == 1
    (first, second, _) = told.finals(names.HOLD)
    assert first.attributes[names.BACKEND_PID] == second.attributes[names.BACKEND_PID]
    assert told.queries() == ["select ?"]
    assert {span.attributes[names.POOL_NAME] for span in told.spans("SELECT")} == {"main"}


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_an_asynchronous_engine_is_found_and_its_driver_tells_nothing_twice(
    told, url, driver
):
    engine = create_async_engine(url.replace("+psycopg", f"+{driver}"), pool_size=1, max_overflow=0)

    async def work() -> None:
        async with engine.connect() as connection:
            await connection.execute(text("select 2"))
            await asyncio.sleep(0.05)

    await asyncio.gather(work(), work())
    await engine.dispose()

    assert len(told.finals(names.WAIT)) == 1
    assert told.queries() == ["select ?"] * 2
    assert len(told.spans("connect")) == 1
    assert len(told.finals(names.HOLD)) == 2


def test_several_engines_are_named_after_what_they_are_for(told, postgres, tmp_path):
    first, second = (
        postgres.new_database().replace("postgresql://", "postgresql+psycopg://", 1)
        for _ in range(2)
    )
    engines = [
        sa.create_engine(first),
        sa.create_engine(second),
        sa.create_engine(first, pool_logging_name="reports"),
        sa.create_engine(second),
        sa.create_engine(f"sqlite:///{tmp_path}/notes.db"),
    ]
    for engine in engines:
        with engine.connect():
            pass
    a, b = (url.rpartition("/")[2].partition("?")[0] for url in (first, second))

    assert [pool.name for pool in told.probe.pools] == [
        a, b, "reports", f"{b}#2", "notes.db",
    ]  # fmt: skip
    for engine in engines:
        engine.dispose()


@pytest.mark.parametrize(
    ("kind", "options", "capacity"),
    [
        (pools.QueuePool, {"pool_size": 2, "max_overflow": 1}, 3),
        (pools.NullPool, {}, None),
        (pools.StaticPool, {}, None),
        (pools.SingletonThreadPool, {}, None),
        (pools.AssertionPool, {}, None),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_every_kind_of_pool_has_its_holds_and_gives_all_of_them_back(
    told, url, kind, options, capacity
):
    engine = sa.create_engine(url, poolclass=kind, **options)
    for _ in range(2):
        with engine.connect() as connection:
            connection.execute(text("select 3"))
            assert len(told.probe.pools[0].holds()) == 1
    engine.dispose()

    assert told.probe.pools[0].slots.capacity() == capacity
    assert told.probe.pools[0].holds() == []
    assert told.finals(names.WAIT) == []
    assert told.queries() == ["select ?"] * 2
    assert len(told.spans("connect")) == (2 if kind is pools.NullPool else 1)


def test_one_connection_for_all_leaves_no_hold_behind(told):
    engine = sa.create_engine("sqlite://", poolclass=pools.StaticPool)
    with engine.connect(), engine.connect(), engine.connect():
        pass

    assert told.probe.pools[0].holds() == []


def test_an_engine_that_is_dropped_is_gone(told, url):
    engine = sa.create_engine(url)
    with engine.connect():
        pass
    gone = weakref.ref(engine)
    assert len(told.probe.pools) == 1
    engine.dispose()
    del engine
    gc.collect()

    assert gone() is None
    assert len(told.probe.pools) == 0


def test_views_of_an_engine_are_that_engine(told, url):
    engine = sa.create_engine(url)
    for level in ("READ COMMITTED", "SERIALIZABLE"):
        with engine.execution_options(isolation_level=level).connect() as connection:
            connection.execute(text("select 4"))
    engine.dispose()

    assert [pool.name for pool in told.probe.pools] == ["main"]
    assert told.queries() == ["select ?"] * 2


def test_the_limits_of_a_found_engine_are_told_to_the_doctor(told, url):
    engine = sa.create_engine(url, pool_timeout=7)
    with engine.connect():
        pass
    rows = told.probe._watched.limits()
    engine.dispose()

    assert {row["name"]: row["seconds"] for row in rows if row["kind"] == "pool"} == {"main": 7.0}


def test_shutdown_gives_sqlalchemy_its_own_methods_back(url):
    before = vars(sa.Engine)["raw_connection"], vars(sa.Engine)["__init__"]
    settings = ProbeSettings(endpoint="http://127.0.0.1:9", metrics_port=-1)
    probe = why504.instrument(None, settings=settings)
    engine = sa.create_engine(url)
    with engine.connect():
        assert "connect" in vars(engine.pool)
    probe.shutdown()

    assert (vars(sa.Engine)["raw_connection"], vars(sa.Engine)["__init__"]) == before
    assert "connect" not in vars(engine.pool)
    with engine.connect():
        pass
    engine.dispose()
