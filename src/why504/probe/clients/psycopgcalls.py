"""Spans of psycopg 3 where the application uses it directly: connecting and statements.

Not of what SQLAlchemy does with it, which tells its own.
"""

from __future__ import annotations

import functools
import sys
import weakref
from typing import Any, Final

from opentelemetry.trace import Span
from opentelemetry.util.types import AttributeValue

from why504.probe.clients.statements import server_of, statement_span
from why504.probe.kit import Kit, Patches
from why504.probe.spans.spanned import (
    TELLERS,
    callers,
    in_a_trace,
    spanned,
    spanned_async,
    told_by_stock,
)

_CURSORS: Final = ("Cursor", "ServerCursor")
_SENDS: Final = ("execute", "executemany")
_FETCHES: Final = ("fetchone", "fetchmany", "fetchall")
"""What asks the server, of cursors that live there; others have all rows by then."""


class PsycopgCalls:
    """Wraps psycopg once the application has imported it; never imports it itself."""

    def __init__(self, kit: Kit) -> None:
        self._calls = kit.calls
        self._guard = kit.guard.site("psycopg")
        self._patches = Patches()
        self._servers: weakref.WeakKeyDictionary[Any, dict[str, AttributeValue]]
        self._servers = weakref.WeakKeyDictionary()

    def attach(self) -> None:
        """Wrap psycopg if it is imported by now; does nothing the second time."""
        module = sys.modules.get("psycopg")
        # The last name that the package gets: with it everything is there.
        if self._patches or not hasattr(module, "__all__"):
            return
        for prefix, wrapped in (("", spanned), ("Async", spanned_async)):
            for kind in _CURSORS:
                owner = getattr(module, prefix + kind, None)
                methods = _SENDS if kind == "Cursor" else (*_SENDS, *_FETCHES)
                for name in methods:
                    # A cursor of another kind inherits what it does not do itself.
                    if owner is not None and name in vars(owner):
                        begin = self._fetch if name in _FETCHES else self._statement
                        self._patches.wrap(owner, name, _with(wrapped, begin, self._guard))
            connection = getattr(module, f"{prefix}Connection", None)
            if connection is not None:
                self._wrap_connect(connection, wrapped)

        # A name of its own for the method as it was.
        self._patches.wrap(module, "connect", lambda f: spanned(f, self._function, self._guard))

    def detach(self) -> None:
        """Give psycopg its own methods back."""
        self._patches.undo()

    def _wrap_connect(self, owner: Any, wrapped: Any) -> None:
        # A method of the class, or what stock instrumentation has put, or left, in its place.
        raw = vars(owner)["connect"]
        bind = getattr(type(raw), "__get__", None)

        @functools.wraps(getattr(raw, "__func__", raw))
        def connect(cls: Any, *args: Any, **options: Any) -> Any:
            method = raw if bind is None else bind(raw, None, cls)
            return method(*args, **options)

        self._patches.wrap(
            owner, "connect", lambda _: classmethod(wrapped(connect, self._connect, self._guard))
        )

    def _function(self, conninfo: str = "", **options: Any) -> Span | None:
        return self._connect(None, conninfo, **options)

    def _connect(self, _owner: Any, conninfo: str = "", **options: Any) -> Span | None:
        # A pool that grows does it in threads of its own, for nobody in particular.
        if not in_a_trace() or _of_another():
            return None
        told = sys.modules["psycopg.conninfo"].conninfo_to_dict(conninfo)
        told |= {key: options[key] for key in ("dbname", "host", "port") if options.get(key)}
        port = str(told.get("port") or "5432")
        number = int(port) if port.isdigit() else None
        name = f"connect {told.get('dbname') or ''}".rstrip()
        return self._calls.begin(name, server_of(told.get("dbname"), told.get("host"), number))

    def _statement(self, cursor: Any, query: Any, *_: Any, **__: Any) -> Span | None:
        if _of_another():
            return None
        return self._calls.begin(*statement_span(query, self._server(cursor.connection)))

    def _fetch(self, cursor: Any, *_: Any, **__: Any) -> Span | None:
        if _of_another():
            return None
        server = self._server(cursor.connection)
        return self._calls.begin(*statement_span(f"FETCH FROM {cursor.name}", server))

    def _server(self, connection: Any) -> dict[str, AttributeValue]:
        """Return what all statements of a connection have in common."""
        known = self._servers.get(connection)
        if known is None:
            info = connection.info
            known = self._servers[connection] = server_of(info.dbname, info.host, info.port)
        return known


def _of_another() -> bool:
    """Return whether SQLAlchemy makes the call, or stock instrumentation tells it."""
    return callers("psycopg")[1].startswith(TELLERS) or told_by_stock("psycopg")


def _with(wrapped: Any, begin: Any, guard: Any) -> Any:
    return lambda method: wrapped(method, begin, guard)
