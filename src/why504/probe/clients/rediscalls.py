"""redis-py: a span a command, and waits for a pool that blocks, in threads and in tasks.

Neither keys nor values are told; a pipeline is one span.
"""

from __future__ import annotations

import functools
import sys
from contextvars import ContextVar
from typing import Any, Final

from opentelemetry.trace import Span
from opentelemetry.util.types import AttributeValue

from why504 import names
from why504.probe import site
from why504.probe.clients.httpcalls import limit, server
from why504.probe.givenback import give_back
from why504.probe.kit import Kit, Patches
from why504.probe.pools.poolsof import PoolsOf
from why504.probe.pools.watchedpool import Room, WatchedPool
from why504.probe.spans.spanned import in_a_trace, spanned, spanned_async, told_by_stock
from why504.probe.telling.openrecord import OpenRecord

_ASKED: Final[ContextVar[list[OpenRecord] | None]] = ContextVar("why504_redis", default=None)
"""Of the checkout that goes on: its record, for whoever sees that it connects."""


class RedisCalls:
    """Wraps redis-py once the application has imported it; never imports it itself."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._guard = kit.guard.site("redis")
        self._patches = Patches()
        self._pools = PoolsOf(kit)

    def attach(self) -> None:
        """Wrap redis-py if it is imported by now; does nothing the second time."""
        # The last name that the package gets: with it everything is there.
        if self._patches or not hasattr(sys.modules.get("redis"), "__all__"):
            return
        for where, wrapped in (("redis", spanned), ("redis.asyncio", spanned_async)):
            client, connection = (
                sys.modules.get(f"{where}.client"),
                sys.modules.get(f"{where}.connection"),
            )
            self._wrap_client(client, wrapped)
            pool = getattr(connection, "BlockingConnectionPool", None)
            asynchronous = where.endswith("asyncio")
            self._patches.wrap(
                pool, "get_connection", self._gets_async if asynchronous else self._gets
            )
            self._patches.wrap(
                pool, "release", self._releases_async if asynchronous else self._releases
            )
        sync = getattr(sys.modules.get("redis.connection"), "AbstractConnection", None)
        asyncio_pool = getattr(
            sys.modules.get("redis.asyncio.connection"), "BlockingConnectionPool", None
        )
        # Both are what a pool does once the queueing is over.
        self._patches.wrap(sync, "connect", self._connects)
        self._patches.wrap(asyncio_pool, "ensure_connection", self._connects_async)

    def detach(self) -> None:
        """Give redis-py its own methods back."""
        self._patches.undo()
        self._pools.clear()

    def _wrap_client(self, module: Any, wrapped: Any) -> None:
        guard = self._guard
        self._patches.wrap(
            getattr(module, "Redis", None),
            "execute_command",
            lambda f: wrapped(f, self._command, guard),
        )
        self._patches.wrap(
            getattr(module, "Pipeline", None),
            "execute",
            lambda f: wrapped(f, self._pipeline, guard),
        )

    # --- spans ------------------------------------------------------------------------------------

    def _command(self, client: Any, *args: Any, **_: Any) -> Span | None:
        # A pipeline only notes what it is to do.
        if not args or hasattr(client, "command_stack"):
            return None
        return self._begin(client, str(args[0]).partition(" ")[0].upper())

    def _pipeline(self, client: Any, *_: Any, **__: Any) -> Span | None:
        return self._begin(client, "PIPELINE") if client.command_stack else None

    def _begin(self, client: Any, operation: str) -> Span | None:
        if not in_a_trace() or told_by_stock("redis", client):
            return None
        known = client.connection_pool.connection_kwargs
        found: dict[str, AttributeValue] = {
            names.DB_SYSTEM: "redis",
            names.DB_OPERATION: operation,
            names.DB_NAMESPACE: str(known.get("db") or 0),
            **server(known.get("host") or known.get("path") or "localhost", known.get("port")),
            **limit(known.get("socket_timeout")),
            **site.attributes_of(site.user_line(site.current_lines())),
        }
        return self._kit.calls.begin(operation, found)

    # --- waits and holds --------------------------------------------------------------------------

    def _gets(self, get: Any) -> Any:
        @functools.wraps(get)
        def gets(pool: Any, *args: Any, **options: Any) -> Any:
            asked = self._ask(pool)
            token = _ASKED.set(asked)
            try:
                connection = get(pool, *args, **options)
            except BaseException as error:
                self._gave_up(pool, asked, error)
                raise
            finally:
                give_back(_ASKED, token)
            self._got(pool, asked, connection)
            return connection

        return gets

    def _gets_async(self, get: Any) -> Any:
        @functools.wraps(get)
        async def gets(pool: Any, *args: Any, **options: Any) -> Any:
            asked = self._ask(pool)
            token = _ASKED.set(asked)
            try:
                connection = await get(pool, *args, **options)
            except BaseException as error:
                self._gave_up(pool, asked, error)
                raise
            finally:
                give_back(_ASKED, token)
            self._got(pool, asked, connection)
            return connection

        return gets

    def _connects(self, connect: Any) -> Any:
        @functools.wraps(connect)
        def connects(*args: Any, **options: Any) -> Any:
            self._left_the_queue()
            return connect(*args, **options)

        return connects

    def _connects_async(self, connect: Any) -> Any:
        @functools.wraps(connect)
        async def connects(*args: Any, **options: Any) -> Any:
            self._left_the_queue()
            return await connect(*args, **options)

        return connects

    def _left_the_queue(self) -> None:
        asked = _ASKED.get()
        if asked:
            with self._guard:
                watched = self._pools.called(asked[0].resource)
                if watched is not None:
                    asked[0] = watched.got(asked[0])

    def _releases(self, release: Any) -> Any:
        @functools.wraps(release)
        def releases(pool: Any, connection: Any, *args: Any, **options: Any) -> Any:
            self._returned(pool, connection)
            return release(pool, connection, *args, **options)

        return releases

    def _releases_async(self, release: Any) -> Any:
        @functools.wraps(release)
        async def releases(pool: Any, connection: Any, *args: Any, **options: Any) -> Any:
            self._returned(pool, connection)
            return await release(pool, connection, *args, **options)

        return releases

    def _returned(self, pool: Any, connection: Any) -> None:
        with self._guard:
            watched = self._pools.get(pool)
            if watched is not None:
                watched.returned(connection)

    def _ask(self, pool: Any) -> list[OpenRecord]:
        with self._guard:
            return [self._watched(pool).asks()]
        return []

    def _gave_up(self, pool: Any, asked: list[OpenRecord], error: BaseException) -> None:
        with self._guard:
            for record in asked:
                # Both kinds say it by a message only; connecting has begun if it was not that.
                timed_out = isinstance(error, Exception) and record.kind == names.WAIT
                self._watched(pool).gave_up(record, error, timed_out=timed_out)

    def _got(self, pool: Any, asked: list[OpenRecord], connection: Any) -> None:
        with self._guard:
            for record in asked:
                watched = self._watched(pool)
                watched.has(watched.got(record), connection)

    def _watched(self, pool: Any) -> WatchedPool:
        most, told = int(pool.max_connections), pool.connection_kwargs
        host = str(told.get("host") or told.get("path") or "localhost")

        def make() -> WatchedPool:
            name = self._pools.name(host)
            return WatchedPool(self._kit, names.redis_pool(name), name, Room(lambda: most))

        return self._pools.of(pool, make)
