"""Spans of SQL statements by SQLAlchemy's dialects, sync and async alike.

Stock instrumentation refuses SQLAlchemy 2.1 and mixes queueing with connecting. The text of a
statement carries bind markers, and `?` where the application wrote values into it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from opentelemetry.trace import Span, Status, StatusCode

from why504 import names
from why504.probe.clients.literals import LOOKED_AT, shortened, without_literals
from why504.probe.givenback import give_back
from why504.probe.kit import Patches
from why504.probe.lean.wire import Prepared
from why504.probe.safety import Guard
from why504.probe.spans.calls import Calls

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

_QUERY_LIMIT: Final = 2000
_STATEMENTS_KEPT: Final = 1024
_LONGEST_KEPT: Final = LOOKED_AT
"""Characters; an INSERT of a thousand rows has more, and each time others."""
_SYSTEMS: Final = {"mssql": "microsoft.sql_server", "oracle": "oracle.db"}
_PORTS: Final = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306}
_OPERATION: Final = re.compile(r"[A-Za-z]+")
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


_INITIALIZES: Final[ContextVar[bool]] = ContextVar("why504_initializes", default=False)
"""Whether SQLAlchemy asks a server what it is like: nobody's statements."""


def _initialized(initialize: Callable[[Any], None]) -> Callable[[Any], None]:
    def quiet_initialize(connection: Any) -> None:
        token = _INITIALIZES.set(True)
        try:
            initialize(connection)
        finally:
            give_back(_INITIALIZES, token)

    return quiet_initialize


class StatementSpans:
    """One CLIENT span a statement of one engine.

    Not by SQLAlchemy's events: one listener sends each statement of the engine round by all of its
    event points (docs/adr/0017-what-a-cold-processor-costs.md).
    """

    def __init__(self, engine: Engine, database: Database) -> None:
        self.dialect = engine.dialect
        self._database = database
        self._patches = Patches()
        self._is_over = False
        # A statement has the same attributes each time, and comes again and again.
        self._prepared: dict[str, tuple[str, Prepared]] = {}

    def attach(self, guard: Guard, calls: Calls) -> None:
        """Wrap what the dialect gives statements to its driver by; `detach` undoes it."""
        self._guard = guard.site("statement")
        self._calls = calls
        for method in ("do_execute", "do_executemany", "do_execute_no_params"):
            self._patches.wrap(self.dialect, method, self._watched)
        self._patches.wrap(self.dialect, "initialize", _initialized)

    def detach(self) -> None:
        """Give the dialect its methods back; what somebody has wrapped since passes on."""
        self._is_over = True
        self._patches.undo()

    def _watched(self, execute: Callable[..., None]) -> Callable[..., None]:
        def watched_execute(cursor: Any, statement: str, *told: Any, **named: Any) -> None:
            span = None
            try:
                known = self._prepared.get(statement) or self._prepare(statement)
                if known is not None and not self._is_over:
                    span = self._calls.begin(known[0], known[1])
            except Exception as error:
                if not self._guard.swallows(error):
                    raise
            try:
                execute(cursor, statement, *told, **named)
            except BaseException as error:
                if span is not None:
                    with self._guard:
                        fail_span(span, error)
                raise
            try:
                if span is not None:
                    span.end()
            except Exception as error:
                if not self._guard.swallows(error):
                    raise

        return watched_execute

    def _prepare(self, statement: str) -> tuple[str, Prepared] | None:
        if _INITIALIZES.get():
            return None
        attributes = self._database.attributes
        name, told = describe(statement, str(attributes[names.DB_SYSTEM]))
        prepared = name, Prepared({**attributes, **told})
        if len(statement) <= _LONGEST_KEPT:
            if len(self._prepared) >= _STATEMENTS_KEPT:
                self._prepared.clear()
            self._prepared[statement] = prepared
        return prepared


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


def describe(statement: str, system: str = "") -> tuple[str, dict[str, str]]:
    """Return a statement's span name, `SELECT friendship_status`, and what is told of it.

    All is read from its text without values: a word out of one would pass for a table's name.

    Args:
        statement: as the database is given it.
        system: `db.system.name`.
    """
    # Cut afterwards: a table may be named further on than is told.
    text = without_literals(statement, system, longest=LOOKED_AT)
    told = {names.DB_QUERY: shortened(text, _QUERY_LIMIT)}
    found = _OPERATION.match(text)
    if found is None:
        return "SQL", told
    operation = told[names.DB_OPERATION] = found.group().upper()
    pattern = _COLLECTION.get(operation)
    table = pattern.search(text) if pattern else None
    if table is None:
        return operation, told
    told[names.DB_COLLECTION] = table.group(1).replace('"', "").replace("`", "")
    return f"{operation} {told[names.DB_COLLECTION]}", told
