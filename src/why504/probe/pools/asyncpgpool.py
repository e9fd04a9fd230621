"""asyncpg's pools: waits, holds, and who has which backend of PostgreSQL.

The pool's queue ends where a holder begins to give out its connection, which connects if it has
to: there the wait becomes a hold.
"""

from __future__ import annotations

import functools
import sys
import weakref
from contextvars import ContextVar
from typing import Any, Final

from why504 import names
from why504.probe.givenback import give_back
from why504.probe.kit import Kit, Patches
from why504.probe.pools.poolsof import PoolsOf
from why504.probe.pools.watchedpool import Room, WatchedPool
from why504.probe.telling.openrecord import OpenRecord

_ASKED: Final[ContextVar[list[OpenRecord] | None]] = ContextVar("why504_asyncpg", default=None)
"""Of the checkout that goes on: its record, in a list since the task that gets it is another."""


class AsyncpgPools:
    """Wraps asyncpg's pools once the application has imported them; never imports them itself."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._guard = kit.guard.site("asyncpg pool")
        self._patches = Patches()
        self._pools = PoolsOf(kit)
        """By the first holder of each: a pool itself can't be referred to weakly."""

    def attach(self) -> None:
        """Wrap asyncpg if it is imported by now; does nothing the second time."""
        module = sys.modules.get("asyncpg.pool")
        pool, holder = getattr(module, "Pool", None), getattr(module, "PoolConnectionHolder", None)
        if self._patches or pool is None or holder is None:
            return
        self._patches.wrap(pool, "_acquire", self._acquires)
        self._patches.wrap(holder, "acquire", self._gets)
        self._patches.wrap(holder, "_release", self._releases)

    def detach(self) -> None:
        """Give asyncpg its own methods back."""
        self._patches.undo()
        self._pools.clear()

    def _acquires(self, acquire: Any) -> Any:
        @functools.wraps(acquire)
        async def acquires(pool: Any, *args: Any, **options: Any) -> Any:
            asked: list[OpenRecord] = []
            with self._guard:
                watched = self._watched(pool)
                in_use = pool.get_size() - pool.get_idle_size()
                asked.append(watched.asks(in_use))
            token = _ASKED.set(asked)
            try:
                connection = await acquire(pool, *args, **options)
            except BaseException as error:
                with self._guard:
                    for record in asked:
                        watched.gave_up(record, error, timed_out=isinstance(error, TimeoutError))
                raise
            finally:
                give_back(_ASKED, token)
            with self._guard:
                for record in asked:
                    holder = connection._holder
                    watched.has(watched.got(record), holder, int(connection.get_server_pid()))
            return connection

        return acquires

    def _gets(self, acquire: Any) -> Any:
        @functools.wraps(acquire)
        async def gets(holder: Any) -> Any:
            asked = _ASKED.get()
            if asked:
                with self._guard:
                    asked[0] = self._watched(holder._pool).got(asked[0])
            return await acquire(holder)

        return gets

    def _releases(self, release: Any) -> Any:
        @functools.wraps(release)
        def releases(holder: Any) -> None:
            with self._guard:
                watched = self._pools.get(holder._pool._holders[0])
                if watched is not None:
                    watched.returned(holder)
            release(holder)

        return releases

    def _watched(self, pool: Any) -> WatchedPool:
        return self._pools.of(pool._holders[0], lambda: self._make(pool))

    def _make(self, pool: Any) -> WatchedPool:
        first = pool._holders[0]
        most, whose = int(pool.get_max_size()), weakref.ref(first)

        def idle() -> int:
            alive = whose()
            return 0 if alive is None else int(alive._pool.get_idle_size())

        name = self._kit.database_name("", _database(pool))
        return WatchedPool(
            self._kit,
            names.pool(name),
            name,
            Room(lambda: most),
            idle=idle,
            of_a_database=True,
        )


def _database(pool: Any) -> str:
    """Return the database that a pool connects to, as far as it is told; else its host."""
    told = getattr(pool, "_connect_kwargs", None) or {}
    dsn = next(iter(getattr(pool, "_connect_args", None) or ()), None) or told.get("dsn") or ""
    path = str(dsn).partition("?")[0].partition("://")[2].partition("/")[2]
    return str(told.get("database") or path or told.get("host") or "")
