"""The connections of an httpx client, in httpcore: who waits for one, who has one, how it connects.

A request has its connection until its response is closed: a stream that nobody closes keeps it.
"""

from __future__ import annotations

import copy
import functools
import sys
from contextvars import ContextVar
from typing import Any, Final

from why504 import names
from why504.probe.clients.connecting import Connecting
from why504.probe.givenback import give_back
from why504.probe.kit import Kit, Patches
from why504.probe.pools.poolsof import PoolsOf
from why504.probe.pools.watchedpool import Room, WatchedPool
from why504.probe.spans.spanned import in_a_trace

_LIBRARIES: Final = ("httpcore", "httpcore2")


class _Asking:
    """One request on its way through a pool."""

    __slots__ = ("of", "watched")

    def __init__(self, watched: WatchedPool | None) -> None:
        self.watched = watched
        self.of: Any = None
        """httpcore's own note of it, once there is one."""


_ASKING: Final[ContextVar[_Asking | None]] = ContextVar("why504_httpcore", default=None)


class HttpPools:
    """Wraps httpcore once the application has imported it; never imports it itself."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._guard = kit.guard.site("httpcore")
        self._patches = {name: Patches() for name in _LIBRARIES}
        self._pools = PoolsOf(kit)

    def attach(self) -> None:
        """Wrap httpcore if it is imported by now; does nothing the second time."""
        for library, patches in self._patches.items():
            sync = sys.modules.get(f"{library}._sync.connection_pool")
            asynchronous = sys.modules.get(f"{library}._async.connection_pool")
            if patches or not hasattr(sync, "ConnectionPool") or asynchronous is None:
                continue
            if not hasattr(asynchronous, "AsyncConnectionPool"):
                continue
            patches.wrap(sync.ConnectionPool, "handle_request", self._handles)  # type: ignore[union-attr]
            patches.wrap(
                asynchronous.AsyncConnectionPool, "handle_async_request", self._handles_async
            )
            patches.wrap(getattr(sync, "PoolRequest", None), "wait_for_connection", self._waits)
            patches.wrap(
                getattr(asynchronous, "AsyncPoolRequest", None),
                "wait_for_connection",
                self._waits_async,
            )
            patches.wrap(getattr(sync, "PoolByteStream", None), "close", self._closes)
            patches.wrap(
                getattr(asynchronous, "PoolByteStream", None), "aclose", self._closes_async
            )

    def detach(self) -> None:
        """Give httpcore its own methods back."""
        for patches in self._patches.values():
            patches.undo()
        self._pools.clear()

    def _handles(self, handle: Any) -> Any:
        @functools.wraps(handle)
        def handles(pool: Any, request: Any) -> Any:
            asking, asked = self._begin(pool, request, asynchronous=False)
            token = _ASKING.set(asking)
            try:
                return handle(pool, asked)
            except BaseException:
                self._over(asking)
                raise
            finally:
                give_back(_ASKING, token)

        return handles

    def _handles_async(self, handle: Any) -> Any:
        @functools.wraps(handle)
        async def handles(pool: Any, request: Any) -> Any:
            asking, asked = self._begin(pool, request, asynchronous=True)
            token = _ASKING.set(asking)
            try:
                return await handle(pool, asked)
            except BaseException:
                self._over(asking)
                raise
            finally:
                give_back(_ASKING, token)

        return handles

    def _waits(self, wait: Any) -> Any:
        @functools.wraps(wait)
        def waits(note: Any, *args: Any, **options: Any) -> Any:
            record = self._ask(note)
            try:
                connection = wait(note, *args, **options)
            except BaseException as error:
                self._gave_up(record, error)
                raise
            self._got(record, note)
            return connection

        return waits

    def _waits_async(self, wait: Any) -> Any:
        @functools.wraps(wait)
        async def waits(note: Any, *args: Any, **options: Any) -> Any:
            record = self._ask(note)
            try:
                connection = await wait(note, *args, **options)
            except BaseException as error:
                self._gave_up(record, error)
                raise
            self._got(record, note)
            return connection

        return waits

    def _closes(self, close: Any) -> Any:
        @functools.wraps(close)
        def closes(stream: Any, *args: Any, **options: Any) -> Any:
            self._returned(stream)
            return close(stream, *args, **options)

        return closes

    def _closes_async(self, close: Any) -> Any:
        @functools.wraps(close)
        async def closes(stream: Any, *args: Any, **options: Any) -> Any:
            self._returned(stream)
            return await close(stream, *args, **options)

        return closes

    # --- the life of one request ------------------------------------------------------------------

    def _begin(self, pool: Any, request: Any, *, asynchronous: bool) -> tuple[_Asking | None, Any]:
        """Return the request's note, and the request as the pool is to have it."""
        with self._guard:
            # Outside a trace it is nobody's request: exporters and pollers call, too.
            if not in_a_trace():
                return None, request
            heard = Connecting(self._kit.calls, self._guard, request.extensions.get("trace"))
            hook = heard.heard_async if asynchronous else heard.heard
            # A copy: the caller may send the same one again, or several at once.
            asked = copy.copy(request)
            asked.extensions = {**request.extensions, "trace": hook}
            return _Asking(self._watched(pool, request)), asked
        return None, request

    def _ask(self, note: Any) -> Any:
        with self._guard:
            asking = _ASKING.get()
            if asking is None or asking.watched is None:
                return None
            # Asked again if the connection turned out to be no good.
            asking.watched.returned(note)
            asking.of = note
            return asking.watched.asks(full=note.connection is None)
        return None

    def _got(self, record: Any, note: Any) -> None:
        with self._guard:
            asking = _ASKING.get()
            if record is not None and asking is not None and asking.watched is not None:
                asking.watched.has(asking.watched.got(record), note)

    def _gave_up(self, record: Any, error: BaseException) -> None:
        with self._guard:
            asking = _ASKING.get()
            if record is not None and asking is not None and asking.watched is not None:
                timed_out = type(error).__name__ == "PoolTimeout"
                asking.watched.gave_up(record, error, timed_out=timed_out)

    def _returned(self, stream: Any) -> None:
        with self._guard:
            watched = self._pools.get(stream._pool)
            if watched is not None:
                watched.returned(stream._pool_request)

    def _over(self, asking: _Asking | None) -> None:
        with self._guard:
            if asking is not None and asking.watched is not None and asking.of is not None:
                asking.watched.returned(asking.of)

    def _watched(self, pool: Any, request: Any) -> WatchedPool | None:
        most = getattr(pool, "_max_connections", None)
        if most is None or most >= sys.maxsize:
            return None  # nobody ever waits for it
        host = request.url.host.decode("ascii", "replace")

        def make() -> WatchedPool:
            name = self._pools.name(host)
            return WatchedPool(self._kit, names.http_pool(name), name, Room(lambda: int(most)))

        return self._pools.of(pool, make)
