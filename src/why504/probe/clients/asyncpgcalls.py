"""Spans of what asyncpg sends to PostgreSQL: connecting, statements, cursors, COPY.

Not of what it does for itself, nor of what SQLAlchemy does with it, which tells its own.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from typing import Any, Final

from opentelemetry.trace import Span
from opentelemetry.util.types import AttributeValue

from why504.probe.clients.statements import server_of, statement_span
from why504.probe.kit import Kit, Patches
from why504.probe.spans.spanned import TELLERS, callers, spanned_async, told_by_stock

_CONNECTION: Final = ("execute", "fetch", "fetchval", "fetchrow", "fetchmany")
_PREPARED: Final = ("fetch", "fetchval", "fetchrow", "fetchmany", "executemany", "explain")
_CURSOR: Final = ("_bind_exec", "_bind", "_exec")
"""All that a cursor sends, by whichever method it is used."""
_COPY: Final = ("_copy_in", "_copy_in_records", "_copy_out")
_ITSELF: Final = ("asyncpg.connection", "asyncpg.prepared_stmt")
"""Where it calls these methods itself: for what has a span, or is nobody's statement."""


class AsyncpgCalls:
    """Wraps asyncpg once the application has imported it; never imports it itself."""

    def __init__(self, kit: Kit) -> None:
        self._calls = kit.calls
        self._guard = kit.guard.site("asyncpg")
        self._patches = Patches()
        self._servers: weakref.WeakKeyDictionary[Any, dict[str, AttributeValue]]
        self._servers = weakref.WeakKeyDictionary()

    def attach(self) -> None:
        """Wrap asyncpg if it is imported by now; does nothing the second time."""
        # The last of its modules: with it the package is there as a whole.
        if self._patches or "asyncpg.pool" not in sys.modules:
            return
        modules = sys.modules
        connection = modules["asyncpg.connection"].Connection
        self._wrap(connection, _CONNECTION, lambda con, query, *_, **__: (con, query))
        # Whose parameter has another name, by which it may be given.
        self._wrap(connection, ("executemany",), lambda con, command, *_, **__: (con, command))
        self._wrap(
            connection, ("prepare",), lambda con, query, **__: (con, f"PREPARE x AS {query}")
        )
        self._wrap(connection, _COPY, lambda con, copy_stmt, *_, **__: (con, copy_stmt), own=False)
        prepared = modules["asyncpg.prepared_stmt"].PreparedStatement
        self._wrap(prepared, _PREPARED, lambda one, *_, **__: (one._connection, one._query))
        cursor = modules["asyncpg.cursor"].BaseCursor
        self._wrap(cursor, _CURSOR, lambda one, *_, **__: (one._connection, one._query), own=False)
        self._patches.wrap(modules["asyncpg.connect_utils"], "_connect_addr", self._connects)

    def detach(self) -> None:
        """Give asyncpg its own methods back."""
        self._patches.undo()

    def _wrap(
        self,
        owner: Any,
        methods: tuple[str, ...],
        sent: Callable[..., tuple[Any, Any]],
        *,
        own: bool = True,
    ) -> None:
        """Wrap methods that send something; `own` ones are called by applications."""

        def begin(*args: Any, **options: Any) -> Span | None:
            nearest, user = callers("asyncpg")
            if user.startswith(TELLERS) or (own and nearest in _ITSELF):
                return None
            if told_by_stock("asyncpg"):
                return None
            connection, query = sent(*args, **options)
            return self._calls.begin(*statement_span(query, self._server(connection)))

        for name in methods:
            self._patches.wrap(
                owner, name, lambda method: spanned_async(method, begin, self._guard)
            )

    def _connects(self, connect: Any) -> Any:
        def begin(*, addr: Any, params: Any, **_: Any) -> Span | None:
            if callers("asyncpg")[1].startswith("sqlalchemy."):
                return None
            host, port = addr if isinstance(addr, tuple) else (addr, None)
            server = server_of(params.database, host, port)
            return self._calls.begin(f"connect {params.database or ''}".rstrip(), server)

        return spanned_async(connect, begin, self._guard)

    def _server(self, connection: Any) -> dict[str, AttributeValue]:
        """Return what all statements of a connection have in common."""
        known = self._servers.get(connection)
        if known is None:
            addr = connection._addr
            host, port = addr if isinstance(addr, tuple) else (addr, None)
            known = server_of(connection._params.database, host, port)
            self._servers[connection] = known
        return known
