"""urllib3, and with it `requests`: a span an attempt, connecting, waits for a pool that blocks."""

from __future__ import annotations

import functools
import socket
import sys
from typing import Any

from opentelemetry.trace import Span

from why504 import names
from why504.probe.clients import connecting
from why504.probe.clients.httpcalls import answered, attempt, limit
from why504.probe.kit import Kit, Patches
from why504.probe.pools.poolsof import PoolsOf
from why504.probe.pools.watchedpool import Room, WatchedPool
from why504.probe.spans.spanned import in_a_trace, spanned, told_by_stock


class Urllib3Calls:
    """Wraps urllib3 once the application has imported it; never imports it itself."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._guard = kit.guard.site("urllib3")
        self._patches = Patches()
        self._pools = PoolsOf(kit)

    def attach(self) -> None:
        """Wrap urllib3 if it is imported by now; does nothing the second time."""
        module = sys.modules.get("urllib3.connectionpool")
        connection = sys.modules.get("urllib3.connection")
        pool = getattr(module, "HTTPConnectionPool", None)
        http = getattr(connection, "HTTPConnection", None)
        # The last class of its module: with it the module is there as a whole.
        if (
            self._patches
            or pool is None
            or http is None
            or not hasattr(module, "HTTPSConnectionPool")
        ):
            return
        guard = self._guard
        self._patches.wrap(pool, "_make_request", lambda f: spanned(f, self._begin, guard, _end))
        self._patches.wrap(pool, "_get_conn", self._gets)
        self._patches.wrap(pool, "_put_conn", self._puts)
        self._patches.wrap(http, "_new_conn", lambda f: spanned(_noted(f), self._connect, guard))
        self._patches.wrap(
            connection,
            "_ssl_wrap_socket_and_match_hostname",
            lambda f: spanned(f, self._tls, guard),
        )

    def detach(self) -> None:
        """Give urllib3 its own methods back."""
        self._patches.undo()
        self._pools.clear()

    # --- spans ------------------------------------------------------------------------------------

    def _begin(
        self, pool: Any, conn: Any, method: str, url: str, *args: Any, **options: Any
    ) -> Span | None:
        if not in_a_trace() or told_by_stock("requests") or told_by_stock("urllib3"):
            return None
        path = str(url).partition("?")[0]
        if "://" in path:  # what a proxy is asked
            path = "/" + path.partition("://")[2].partition("/")[2]
        port = pool.port or {"http": 80, "https": 443}.get(pool.scheme)
        found = attempt(method, pool.host, port, path)
        timeout = options.get("timeout")
        if hasattr(timeout, "total"):
            found |= limit(_limit_s(timeout))
        return self._kit.calls.begin(str(method), found)

    def _connect(self, connection: Any) -> Span | None:
        if not in_a_trace():
            return None
        host, limit_s = connection.host, connection.timeout
        return connecting.begin(self._kit.calls, "connect", host, connection.port, limit_s)

    def _tls(self, *_: Any, server_hostname: Any = "", **__: Any) -> Span | None:
        if not in_a_trace():
            return None
        return connecting.begin(self._kit.calls, "tls", server_hostname, None, "")

    # --- waits and holds --------------------------------------------------------------------------

    def _gets(self, get: Any) -> Any:
        @functools.wraps(get)
        def gets(pool: Any, *args: Any, **options: Any) -> Any:
            record = watched = None
            with self._guard:
                if pool.block and pool.pool is not None and in_a_trace():
                    watched = self._watched(pool)
                    record = watched.asks(full=pool.pool.empty())
            try:
                connection = get(pool, *args, **options)
            except BaseException as error:
                with self._guard:
                    if watched is not None and record is not None:
                        timed_out = type(error).__name__ == "EmptyPoolError"
                        watched.gave_up(record, error, timed_out=timed_out)
                raise
            with self._guard:
                if watched is not None and record is not None:
                    watched.has(watched.got(record), connection)
            return connection

        return gets

    def _puts(self, put: Any) -> Any:
        @functools.wraps(put)
        def puts(pool: Any, conn: Any) -> Any:
            with self._guard:
                watched = self._pools.get(pool)
                if watched is not None and conn is None:
                    # Broken, and thrown away before its place is given back.
                    watched.returned_here()
                elif watched is not None:
                    watched.returned(conn)
            return put(pool, conn)

        return puts

    def _watched(self, pool: Any) -> WatchedPool:
        most = int(pool.pool.maxsize)

        def make() -> WatchedPool:
            name = self._pools.name(str(pool.host))
            return WatchedPool(self._kit, names.http_pool(name), name, Room(lambda: most))

        return self._pools.of(pool, make)


def _noted(connect: Any) -> Any:
    """Return a function that connects, and says so to whoever looks names up."""

    @functools.wraps(connect)
    def noted(*args: Any, **options: Any) -> Any:
        if not in_a_trace():
            return connect(*args, **options)
        token = connecting.connects()
        try:
            return connect(*args, **options)
        finally:
            connecting.connected(token)

    return noted


def _limit_s(timeout: Any) -> float | None:
    """Return how long an answer may take to begin; urllib3's own reader wants a running clock."""
    told = (getattr(timeout, "_read", None), timeout.total)
    numbers = [one for one in told if isinstance(one, int | float)]
    return min(numbers) if numbers else socket.getdefaulttimeout()


def _end(span: Span, response: Any) -> None:
    answered(span, int(response.status), response.headers.get("retry-after"))
