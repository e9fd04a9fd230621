"""Statements that drivers are given directly, without SQLAlchemy: what their spans tell.

Their text is the application's own and may have values in it, so literals are taken out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from opentelemetry.util.types import AttributeValue

from why504 import names
from why504.probe import site
from why504.probe.clients.database import describe
from why504.probe.clients.literals import LOOKED_AT

_POSTGRESQL: Final = "postgresql"


@lru_cache(maxsize=2048)
def _told(statement: str) -> tuple[str, dict[str, str]]:
    return describe(statement, _POSTGRESQL)


def statement_span(
    statement: object, server: dict[str, AttributeValue]
) -> tuple[str, dict[str, AttributeValue]]:
    """Return name and attributes of a statement's span.

    Args:
        statement: text, bytes, or psycopg's composed SQL.
        server: what is the same for all statements of a connection.
    """
    name, told = _told(text_of(statement)[:LOOKED_AT])
    line = site.user_line(site.current_lines())
    return name, {**server, **told, **site.attributes_of(line)}


def text_of(statement: Any) -> str:
    """Return a statement as text; of psycopg's composed SQL without what its literals are."""
    if isinstance(statement, str):
        return statement
    if isinstance(statement, bytes):
        return statement.decode(errors="replace")
    written = _COMPOSED.get(type(statement).__name__)
    inner = getattr(statement, "_obj", None)
    return "?" if written is None or inner is None else written(inner)


def _quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))


_COMPOSED: Final[dict[str, Callable[[Any], str]]] = {
    "Composed": lambda parts: "".join(text_of(part) for part in parts),
    "SQL": str,
    "Identifier": lambda parts: ".".join(map(_quoted, parts)),
    "Placeholder": lambda name: f"%({name})s" if name else "%s",
}
"""Parts of psycopg's composed SQL and how they are written; a literal is none of them."""


def server_of(namespace: object, host: object, port: object) -> dict[str, AttributeValue]:
    """Return what the spans of a PostgreSQL connection have in common."""
    found: dict[str, AttributeValue] = {names.DB_SYSTEM: _POSTGRESQL}
    if namespace:
        found[names.DB_NAMESPACE] = str(namespace)
    if host:
        found[names.SERVER_ADDRESS] = str(host)
    if isinstance(port, int) and host and not str(host).startswith("/"):
        found[names.SERVER_PORT] = port
    return found
