"""Spans of SQL statements by SQLAlchemy's own events, sync and async alike.

Stock instrumentation refuses SQLAlchemy 2.1 and mixes queueing with connecting. The text of a
statement carries bind markers, and `?` where the application wrote values into it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Self

from opentelemetry.trace import Span, Status, StatusCode

from why504 import names
from why504.probe.calls import Calls
from why504.probe.lean.wire import Prepared
from why504.probe.literals import without_literals
from why504.probe.safety import Guard

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

_QUERY_LIMIT: Final = 2000
_STATEMENTS_KEPT: Final = 1024
_LONGEST_KEPT: Final = 8000
"""Characters; an INSERT of a thousand rows has more, and each time others."""
_SPAN: Final = "_why504_span"
_SYSTEMS: Final = {"mssql": "microsoft.sql_server", "oracle": "oracle.db"}
_PORTS: Final = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306}
_OPERATION: Final = re.compile(r"\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*)*([A-Za-z]+)", re.DOTALL)
_COLLECTION: Final = {
    "SELECT": re.compile(r"\bFROM\s+([\w.\"`]+)", re.IGNORECASE),
    "INSERT": re.compile(r"\bINTO\s+([\w.\"`]+)", re.IGNORECASE),
    "UPDATE": re.compile(r"\bUPDATE\s+(?:ONLY\s+)?([\w.\"`]+)", re.IGNORECASE),
    "DELETE": re.compile(r"\bFROM\s+(?:ONLY\s+)?([\w.\"`]+)", re.IGNORECASE),
}


@dataclass(frozen=True, slots=True)
class Database:
    """What is the same for every span of one engine."""

    namespace: str
    attributes: dict[str, str | int]

    @classmethod
    def of(cls, engine: Engine, pool: str) -> Self:
        """Return what an engine's URL says; never its user or password."""
        name, url = engine.dialect.name, engine.url
        attributes: dict[str, str | int] = {
            names.DB_SYSTEM: _SYSTEMS.get(name, name),
            names.POOL_NAME: pool,
        }
        if url.database:
            attributes[names.DB_NAMESPACE] = url.database
        if url.host:
            attributes[names.SERVER_ADDRESS] = url.host
            port = url.port or _PORTS.get(name)
            if port:
                attributes[names.SERVER_PORT] = port
        return cls(url.database or "", attributes)


class StatementSpans:
    """One CLIENT span a statement of one engine."""

    def __init__(self, engine: Engine, database: Database) -> None:
        self._engine = engine
        self._database = database
        self._undo: list[Callable[[], None]] = []
        # A statement has the same attributes each time, and comes again and again.
        self._prepared = lru_cache(maxsize=_STATEMENTS_KEPT)(self._prepare)

    def attach(self, guard: Guard, calls: Calls) -> None:
        """Hook the engine; `detach` undoes it."""
        self._guard = guard.site("statement")
        self._calls = calls
        self._listen("before_cursor_execute", self._before)
        self._listen("after_cursor_execute", self._after)
        self._listen("handle_error", self._error)

    def detach(self) -> None:
        """Remove every hook."""
        while self._undo:
            self._undo.pop()()

    def _listen(self, name: str, hook: Callable[..., None]) -> None:
        from sqlalchemy import event

        event.listen(self._engine, name, hook)
        self._undo.append(lambda: event.remove(self._engine, name, hook))

    def _before(
        self, conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> None:
        if context is None:
            return
        try:
            known = len(statement) <= _LONGEST_KEPT
            name, attributes = (self._prepared if known else self._prepare)(statement)
            setattr(context, _SPAN, self._calls.begin(name, attributes))
        except Exception as error:
            if not self._guard.swallows(error):
                raise

    def _prepare(self, statement: str) -> tuple[str, Prepared]:
        name, parsed = describe(statement)
        system = str(self._database.attributes[names.DB_SYSTEM])
        query = {names.DB_QUERY: without_literals(statement, system, longest=_QUERY_LIMIT)}
        return name, Prepared({**self._database.attributes, **parsed, **query})

    def _after(
        self, conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> None:
        try:
            span = _take_span(context)
            if span is not None:
                span.end()
        except Exception as error:
            if not self._guard.swallows(error):
                raise

    def _error(self, failure: Any) -> None:
        with self._guard:
            span = _take_span(failure.execution_context)
            if span is not None:
                fail_span(span, failure.original_exception)


def fail_span(span: Span, error: BaseException) -> None:
    """End a span with the kind of the error that ended its work.

    Not with its message: PostgreSQL quotes the whole row in it, and brokers what they were sent.
    """
    code = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if code:
        span.set_attribute(names.DB_STATUS, str(code))
    span.set_attribute(names.ERROR_TYPE, type(error).__qualname__)
    span.set_status(Status(StatusCode.ERROR, type(error).__qualname__))
    span.end()


def describe(statement: str) -> tuple[str, dict[str, str]]:
    """Return a statement's span name, `SELECT friendship_status`, and what was parsed of it."""
    found = _OPERATION.match(statement)
    if found is None:
        return "SQL", {}
    operation = found.group(1).upper()
    parsed = {names.DB_OPERATION: operation}
    pattern = _COLLECTION.get(operation)
    table = pattern.search(statement, 0, _QUERY_LIMIT * 4) if pattern else None
    if table is None:
        return operation, parsed
    parsed[names.DB_COLLECTION] = table.group(1).replace('"', "").replace("`", "")
    return f"{operation} {parsed[names.DB_COLLECTION]}", parsed


def _take_span(context: Any) -> Span | None:
    span: Span | None = None if context is None else getattr(context, _SPAN, None)
    if span is not None:
        setattr(context, _SPAN, None)
    return span
