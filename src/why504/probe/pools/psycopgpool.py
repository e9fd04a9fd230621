"""Pools of psycopg_pool, in threads and in tasks: waits, holds, whose backend each one is.

A pool that may grow opens connections in threads of its own; who waits for that is connecting.
"""

from __future__ import annotations

import functools
import re
import sys
import weakref
from typing import Any, Final

from opentelemetry.trace import Span

from why504 import names
from why504.probe.clients.database import fail_span
from why504.probe.clients.statements import server_of
from why504.probe.kit import Kit, Patches
from why504.probe.pools.poolsof import PoolsOf
from why504.probe.pools.watchedpool import Room, WatchedPool
from why504.probe.telling.openrecord import OpenRecord

_UNNAMED: Final = re.compile(r"pool-\d+")
"""The name of a pool that the application gave none."""


class PsycopgPools:
    """Wraps psycopg_pool once the application has imported it; never imports it itself."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._guard = kit.guard.site("psycopg_pool")
        self._patches = Patches()
        self._pools = PoolsOf(kit)

    def attach(self) -> None:
        """Wrap psycopg_pool if it is imported by now; does nothing the second time."""
        module = sys.modules.get("psycopg_pool")
        sync = getattr(module, "ConnectionPool", None)
        asynchronous = getattr(module, "AsyncConnectionPool", None)
        if self._patches or sync is None or asynchronous is None:
            return
        self._patches.wrap(sync, "getconn", self._gets)
        self._patches.wrap(sync, "putconn", self._puts)
        self._patches.wrap(asynchronous, "getconn", self._gets_async)
        self._patches.wrap(asynchronous, "putconn", self._puts_async)

    def detach(self) -> None:
        """Give psycopg_pool its own methods back."""
        self._patches.undo()
        self._pools.clear()

    def _gets(self, getconn: Any) -> Any:
        @functools.wraps(getconn)
        def gets(pool: Any, *args: Any, **options: Any) -> Any:
            asked = self._ask(pool)
            try:
                connection = getconn(pool, *args, **options)
            except BaseException as error:
                self._failed(asked, error)
                raise
            self._got(asked, connection)
            return connection

        return gets

    def _gets_async(self, getconn: Any) -> Any:
        @functools.wraps(getconn)
        async def gets(pool: Any, *args: Any, **options: Any) -> Any:
            asked = self._ask(pool)
            try:
                connection = await getconn(pool, *args, **options)
            except BaseException as error:
                self._failed(asked, error)
                raise
            self._got(asked, connection)
            return connection

        return gets

    def _puts(self, putconn: Any) -> Any:
        @functools.wraps(putconn)
        def puts(pool: Any, conn: Any) -> Any:
            self._returned(pool, conn)
            return putconn(pool, conn)

        return puts

    def _puts_async(self, putconn: Any) -> Any:
        @functools.wraps(putconn)
        async def puts(pool: Any, conn: Any) -> Any:
            self._returned(pool, conn)
            return await putconn(pool, conn)

        return puts

    # --- the life of one checkout -----------------------------------------------------------------

    def _ask(self, pool: Any) -> tuple[WatchedPool, OpenRecord, Span | None] | None:
        with self._guard:
            watched = self._watched(pool)
            # What the pool itself counts includes connections that it opens still.
            record = watched.asks()
            connecting = None
            if record.kind == names.HOLD and not getattr(pool, "_pool", ()):
                told = _target(pool)
                server = server_of(told.get("dbname"), told.get("host"), _number(told.get("port")))
                name = f"connect {told.get('dbname', '')}".rstrip()
                connecting = self._kit.calls.begin(name, server)
            return watched, record, connecting
        return None

    def _failed(
        self, asked: tuple[WatchedPool, OpenRecord, Span | None] | None, error: BaseException
    ) -> None:
        if asked is None:
            return
        with self._guard:
            watched, record, connecting = asked
            if connecting is not None:
                fail_span(connecting, error)
            watched.gave_up(record, error, timed_out=type(error).__name__ == "PoolTimeout")

    def _got(
        self, asked: tuple[WatchedPool, OpenRecord, Span | None] | None, connection: Any
    ) -> None:
        if asked is None:
            return
        with self._guard:
            watched, record, connecting = asked
            if connecting is not None:
                connecting.end()
            watched.has(watched.got(record), connection, int(connection.info.backend_pid))

    def _returned(self, pool: Any, connection: Any) -> None:
        with self._guard:
            watched = self._pools.get(pool)
            if watched is not None:
                watched.returned(connection)

    def _watched(self, pool: Any) -> WatchedPool:
        return self._pools.of(pool, lambda: self._make(pool))

    def _make(self, pool: Any) -> WatchedPool:
        whose = weakref.ref(pool)

        def capacity() -> int | None:
            # One that keeps no connections may open as many as it likes, and says 0.
            return getattr(whose(), "max_size", None) or None

        wanted = "" if _UNNAMED.fullmatch(pool.name) else str(pool.name)
        told = _target(pool)
        name = self._kit.database_name(wanted, told.get("dbname") or told.get("host") or "")
        return WatchedPool(
            self._kit,
            names.pool(name),
            name,
            Room(capacity),
            idle=lambda: len(getattr(whose(), "_pool", ())),
            of_a_database=True,
        )


def _target(pool: Any) -> dict[str, str]:
    """Return what a pool connects to, without user or password."""
    conninfo = sys.modules.get("psycopg.conninfo")
    given, options = getattr(pool, "conninfo", ""), getattr(pool, "kwargs", None)
    if conninfo is None or callable(given) or callable(options):
        return {}
    told = conninfo.conninfo_to_dict(given, **(options or {}))
    return {key: str(told[key]) for key in ("dbname", "host", "port") if told.get(key)}


def _number(port: str | None) -> int | None:
    return int(port) if port and port.isdigit() else None
