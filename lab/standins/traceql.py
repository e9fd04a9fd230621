"""The part of TraceQL that the engine uses: conditions on one span, `select`, `most_recent`.

`{ span.why504.kind="hold" && duration >= 200ms } | select(name, span.x) with (most_recent=true)`.
An attribute that is absent matches nothing. Errors read as Tempo's.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

_UNITS_NS: Final = {
    "ns": 1,
    "us": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_QUERY: Final = re.compile(
    r"\s*\{(?P<conditions>(?:[^{}\"]|\"[^\"\\]*\")*)\}"
    r"\s*(?:\|\s*select\((?P<select>[^()]*)\))?"
    r"\s*(?P<latest>with\s*\(most_recent=true\))?\s*"
)
_CONDITION: Final = re.compile(
    r"\s*(?P<field>[a-zA-Z][\w.:]*)\s*(?P<sign>=~|>=|<=|!=|=|>|<)\s*"
    r"(?P<value>\"[^\"\\]*\"|-?\d+(?:\.\d+)?(?:ns|us|ms|s|m|h)?|\w+)\s*"
)
_SIGNS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=~": lambda told, pattern: re.fullmatch(pattern, told) is not None,
}
_SCOPES: Final = ("span.", "resource.")
_INTRINSIC: Final = ("name", "kind", "status", "duration", "span:parentID", "rootServiceName")


class BadQuery(Exception):
    """A query that is refused; says why as Tempo does."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A span as a search sees it."""

    span_id: bytes
    parent_id: bytes
    name: str
    kind: str
    status: str
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]

    def value(self, field: str) -> Any:
        """Return what a field says of it, None where it says nothing."""
        if field.startswith("span."):
            return self.attributes.get(field.removeprefix("span."))
        if field.startswith("resource."):
            return self.resource.get(field.removeprefix("resource."))
        told = {
            "name": self.name,
            "kind": self.kind,
            "status": self.status,
            "duration": self.end_ns - self.start_ns,
            "span:parentID": self.parent_id.hex(),
        }
        return told.get(field)


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison of one field of a span."""

    field: str
    sign: str
    value: Any

    def holds(self, span: Seen) -> bool:
        """Return whether a span meets it."""
        told = span.value(self.field)
        if told is None or isinstance(told, str) != isinstance(self.value, str):
            return False
        return bool(_SIGNS[self.sign](told, self.value))


@dataclass(frozen=True, slots=True)
class Query:
    """A query that is understood."""

    conditions: tuple[Condition, ...]
    selected: tuple[str, ...]
    most_recent: bool

    def matches(self, span: Seen) -> bool:
        """Return whether a span is looked for."""
        return all(condition.holds(span) for condition in self.conditions)

    def shown(self, span: Seen) -> dict[str, Any]:
        """Return a span as a result has it: with what was asked of it, and what was selected."""
        fields = dict.fromkeys([*(one.field for one in self.conditions), *self.selected])
        told: dict[str, Any] = {"spanID": span.span_id.hex()}
        if "name" in fields:
            told["name"] = span.name
        told |= {
            "startTimeUnixNano": str(span.start_ns),
            "durationNanos": str(span.end_ns - span.start_ns),
        }
        attributes = [
            {"key": _bare(field), "value": _value(value)}
            for field in fields
            if field not in ("name", "duration") and (value := span.value(field)) is not None
        ]
        return told | ({"attributes": attributes} if attributes else {})


def parsed(text: str) -> Query:
    """Return a query.

    Raises:
        BadQuery: it is none, or one that this stand-in does not know.
    """
    match = _QUERY.fullmatch(text)
    if match is None:
        raise BadQuery(f"invalid TraceQL query: parse error at line 1, col 1: syntax error: {text}")
    told = match["conditions"].strip()
    conditions = tuple(_condition(one) for one in _split(told)) if told else ()
    fields = (match["select"] or "").split(",")
    selected = tuple(field.strip() for field in fields if field.strip())
    for field in selected:
        _check(field)
    return Query(conditions, selected, most_recent=match["latest"] is not None)


def _split(text: str) -> list[str]:
    """Return what stands between `&&` outside of quotes."""
    return [part for part in re.split(r"&&(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", text)]


def _condition(text: str) -> Condition:
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise BadQuery(
            f"invalid TraceQL query: parse error at line 1, col 1: syntax error: unexpected {text}"
        )
    _check(match["field"])
    return Condition(match["field"], match["sign"], _literal(match["field"], match["value"]))


def _check(field: str) -> None:
    if not field.startswith(_SCOPES) and field not in _INTRINSIC:
        unknown = field.partition(".")[0]
        raise BadQuery(
            f"invalid TraceQL query: parse error at line 1, col 3: unknown identifier: {unknown}"
        )


def _literal(field: str, text: str) -> Any:
    if text.startswith('"'):
        value: Any = text[1:-1]
    elif match := re.fullmatch(r"(-?\d+(?:\.\d+)?)(ns|us|ms|s|m|h)", text):
        value = round(float(match[1]) * _UNITS_NS[match[2]])
    elif re.fullmatch(r"-?\d+", text):
        value = int(text)
    else:
        value = {"true": True, "false": False}.get(text, text)
    if field == "duration" and isinstance(value, str):
        raise BadQuery(
            "invalid TraceQL query: binary operations must operate on the same type: "
            f"duration = `{value}`"
        )
    return value


def _bare(field: str) -> str:
    for scope in _SCOPES:
        field = field.removeprefix(scope)
    return field


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": int(value) if value.is_integer() else value}
    return {"stringValue": str(value)}
