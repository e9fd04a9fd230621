"""What is wrapped of libraries looks and is called as they have it: applications rely on that."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import aio_pika  # noqa: F401 - wrapped because they are there
import asyncpg  # noqa: F401
import httpcore  # noqa: F401
import httpx  # noqa: F401
import openai  # noqa: F401
import pika  # noqa: F401
import psycopg
import psycopg_pool
import pytest
import redis.asyncio  # noqa: F401
import requests  # noqa: F401
import sqlalchemy  # noqa: F401

from why504.probe.kit import Patches


class Wrapped(NamedTuple):
    """A function of a library, and what the probe has put in its place."""

    name: str
    before: Any
    after: Any

    def takes_by_name(self) -> set[str]:
        """Names of all that may be given by them; private ones are the library's own affair."""
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        known = inspect.signature(self.before).parameters.values()
        return {p.name for p in known if p.kind in named and p.name not in ("self", "cls", "_")}


@pytest.fixture
def wrapped(monkeypatch: pytest.MonkeyPatch) -> list[Wrapped]:
    """All that is wrapped; to be asked for before the probe is."""
    found: list[Wrapped] = []
    wrap = Patches.wrap

    def noting(patches: Patches, owner: Any, name: str, wrapper: Callable[[Any], Any]) -> None:
        before = getattr(owner, name, None)
        wrap(patches, owner, name, wrapper)
        if before is not None:
            where = getattr(owner, "__qualname__", getattr(owner, "__name__", ""))
            found.append(Wrapped(f"{where}.{name}", before, getattr(owner, name)))

    # Python's own: in C, and before 3.13 it says nothing of what it takes.
    monkeypatch.setattr("why504.probe.loop.dumptimer.TIMER.attach", lambda: None)
    monkeypatch.setattr(Patches, "wrap", noting)
    return found


def test_what_a_library_takes_by_name_is_taken_by_that_name(wrapped, told):
    assert len(wrapped) > 50
    for one in wrapped:
        takes = inspect.signature(one.after, follow_wrapped=False).parameters.values()
        if all(p.kind is not inspect.Parameter.VAR_KEYWORD for p in takes):
            assert one.takes_by_name() <= {p.name for p in takes}, one.name


def test_what_a_function_says_of_itself_stays(wrapped, told):
    assert len(wrapped) > 50
    for one in wrapped:
        assert look(one.after) == look(one.before), one.name
        # Of asyncpg's some return a coroutine and say nothing of it; ours do say it.
        if inspect.iscoroutinefunction(one.before):
            assert inspect.iscoroutinefunction(one.after), one.name


def look(function: Any) -> tuple[Any, ...]:
    """Return what `mock`, frameworks and people read of a function."""
    return (
        inspect.signature(function),
        function.__doc__,
        function.__module__,
        function.__qualname__,
    )


@pytest.mark.postgres
def test_a_connection_may_be_put_back_by_the_name_that_psycopg_gives_it(told, postgres):
    url = postgres.new_database()
    with psycopg_pool.ConnectionPool(url, min_size=1, max_size=1, open=True) as pool:
        connection = pool.getconn()
        pool.putconn(conn=connection)
        assert told.pool("main").holds() == []

    async def put_back() -> None:
        async with psycopg_pool.AsyncConnectionPool(url, min_size=1, max_size=1) as pool:
            connection: psycopg.AsyncConnection = await pool.getconn()
            await pool.putconn(conn=connection)

    asyncio.run(put_back())
