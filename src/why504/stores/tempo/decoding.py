"""Tempo's JSON to rows, as the receiver would have stored the same spans. Hostile input.

Ids are base64 in whole traces (OTLP's own JSON has hex, which is read too), and hex without leading
zeros in search results. A span that can't be stored is left out, as the receiver leaves it out.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from why504 import names
from why504.stores.records import Row
from why504.tables import LIFT, as_json

_INT64_MAX: Final = 2**63 - 1
_KINDS: Final = {
    told: number
    for number, name in enumerate(
        ("unspecified", "internal", "server", "client", "producer", "consumer")
    )
    for told in (name, f"SPAN_KIND_{name.upper()}", number)
}
_STATUSES: Final = {
    told: number
    for number, name in enumerate(("unset", "ok", "error"))
    for told in (name, f"STATUS_CODE_{name.upper()}", number)
}
_LIFTED: Final = tuple(column for column, _ in LIFT.values())
_PARENT, _KIND, _STATUS = "span:parentID", "kind", "status"
_HEX: Final = re.compile("[0-9a-fA-F]*")
_INTEGER: Final = re.compile(r"-?[0-9]{1,20}")
_ABSENT: Final = "nil"
"""What a search says of an attribute that a span does not have."""


class Found(NamedTuple):
    """A trace that a search found, as far as it looked at it."""

    trace_id: str
    start_ns: int
    end_ns: int
    rows: list[Row]
    """Of the spans that were asked for; of a trace in several parts those of one part only."""


def rows_of_trace(body: Any) -> list[Row]:
    """Return the spans of an answer of `/api/v2/traces/{id}`; none when it is unknown.

    Raises:
        ValueError: it is no such answer.
    """
    trace = _mapping(_mapping(body).get("trace"))
    rows: list[Row] = []
    for told in _list(trace, "resourceSpans"):
        resource = _attributes(_mapping(_mapping(told).get("resource")))
        service = _plain(resource.get(names.SERVICE_NAME))
        instance = _plain(resource.get(names.SERVICE_INSTANCE))
        for scope in _list(_mapping(told), "scopeSpans"):
            for span in _list(_mapping(scope), "spans"):
                with contextlib.suppress(_Unfit):
                    rows.append(_row(span, service, instance))
    return rows


def found(body: Any) -> tuple[list[Found], int]:
    """Return the traces of an answer of `/api/search`, in its order, and how many it names.

    Raises:
        ValueError: it is no such answer.
    """
    body = _mapping(body)
    if not body.keys() & {"traces", "metrics"}:
        raise ValueError("no search result")
    traces: list[Found] = []
    for told in _list(body, "traces"):
        with contextlib.suppress(_Unfit):
            traces.append(_found(told))
    return traces, len(_list(body, "traces"))


def total(body: Any) -> int:
    """Return the sum of what an answer of `/api/metrics/query` counts.

    Raises:
        ValueError: it is no such answer.
    """
    values = [_mapping(series).get("value", 0) for series in _list(_mapping(body), "series")]
    return round(sum(value for value in values if isinstance(value, int | float)))


class _Unfit(ValueError):
    """A span or trace that can't be stored."""


def _found(told: Any) -> Found:
    told = _mapping(told)
    trace_id = str(told.get("traceID", "")).lower().rjust(32, "0")
    if not _is_hex(trace_id, 32) or not trace_id.strip("0"):
        raise _Unfit
    start_ns = _number(told.get("startTimeUnixNano"))
    length_ns = _number(told.get("durationMs", 0)) * 1_000_000
    rows: list[Row] = []
    for one in _list(told, "spanSets") or [told.get("spanSet")]:
        for span in _list(_mapping(one), "spans"):
            with contextlib.suppress(_Unfit):
                rows.append(_row_of_search(trace_id, span))
    return Found(trace_id, start_ns, start_ns + length_ns, rows)


def _row(span: Any, service: str, instance: str) -> Row:
    span = _mapping(span)
    ids = [_id(span.get(key), size) for key, size in _IDS]
    times = _number(span.get("startTimeUnixNano")), _number(span.get("endTimeUnixNano"))
    code = _mapping(span.get("status")).get("code", 0)
    head = _Head(_kind(span.get("kind")), _status(code), service, instance)
    return _made(ids, _text(span.get("name")), times, head, _attributes(span))


_IDS: Final = (("traceId", 16), ("spanId", 8), ("parentSpanId", 8))


def _row_of_search(trace_id: str, span: Any) -> Row:
    span = _mapping(span)
    told = {key: value for key, value in _attributes(span).items() if value != _ABSENT}
    own, parent = _hex(span.get("spanID")), _hex(told.pop(_PARENT, None))
    start_ns = _number(span.get("startTimeUnixNano"))
    times = start_ns, start_ns + _number(span.get("durationNanos", 0))
    head = _Head(
        _kind(told.pop(_KIND, None)),
        _status(told.pop(_STATUS, None)),
        _plain(told.pop(names.SERVICE_NAME, None)),
        _plain(told.pop(names.SERVICE_INSTANCE, None)),
    )
    ids = [bytes.fromhex(trace_id), own, parent]
    return _made(ids, _text(span.get("name")), times, head, told)


class _Head(NamedTuple):
    kind: int
    status: int
    service: str
    instance: str


def _made(
    ids: list[bytes | None],
    name: str,
    times: tuple[int, int],
    head: _Head,
    told: Mapping[str, Any],
) -> Row:
    """Return a row; raise where the receiver would reject the span."""
    trace_id, span_id, parent_id = ids
    start_ns, end_ns = times
    if not trace_id or not any(trace_id) or not span_id or not any(span_id):
        raise _Unfit
    if not (0 < start_ns <= _INT64_MAX and 0 <= end_ns <= _INT64_MAX):
        raise _Unfit
    lifted: dict[str, Any] = dict.fromkeys(_LIFTED)
    rest: dict[str, Any] = {}
    for key, value in told.items():
        column, lift = LIFT.get(key, ("", None))
        fits = None if lift is None else lift(value)
        if fits is None:
            rest[key] = value
        else:
            lifted[column] = fits
    return Row(
        trace_id=trace_id,
        span_id=span_id,
        parent_id=parent_id if parent_id and any(parent_id) else None,
        name=name,
        kind=head.kind,
        start_ns=start_ns,
        # A clock set back while the span was open: an interval must not end before it begins.
        end_ns=max(start_ns, end_ns),
        status=head.status,
        service=head.service,
        instance=head.instance,
        attributes=as_json(rest),
        **lifted,
    )


def _attributes(told: Mapping[str, Any]) -> dict[str, Any]:
    return dict(_pairs(_list(told, "attributes")))


def _pairs(pairs: list[Any]) -> Iterator[tuple[str, Any]]:
    for pair in pairs:
        yield _text(_mapping(pair).get("key")), _value(pair.get("value"))


def _value(value: Any) -> Any:
    """Return an AnyValue as the receiver keeps it."""
    if not isinstance(value, dict) or not value:
        return None
    kind, told = next(iter(value.items()))
    read = _VALUES.get(kind)
    return None if read is None else read(told)


def _mapping(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def _list(value: Mapping[str, Any], key: str) -> list[Any]:
    told = value.get(key)
    if told is None:
        return []
    if not isinstance(told, list):
        raise ValueError(f"{key} is no list")
    return told


def _number(value: Any) -> int:
    """Return an integer of 64 bits, which OTLP's JSON has as a string."""
    told = value if isinstance(value, int) else str(value)
    if isinstance(told, str) and not _INTEGER.fullmatch(told):
        raise _Unfit
    return int(told)


def _float(value: Any) -> float | None:
    try:
        return float(value) if isinstance(value, int | float | str) else None
    except (ValueError, OverflowError):
        return None


def _kind(value: Any) -> int:
    return _KINDS.get(value, 0) if isinstance(value, str | int) else 0


def _status(value: Any) -> int:
    return _STATUSES.get(value, 0) if isinstance(value, str | int) else 0


def _text(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    # Half a pair of surrogates is no text: it could not be printed.
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else as_json(value)


def _id(value: Any, size: int) -> bytes | None:
    if not isinstance(value, str):
        return None
    if _is_hex(value, 2 * size):
        return bytes.fromhex(value)
    try:
        raw = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == size else None


def _hex(value: Any) -> bytes | None:
    if not isinstance(value, str):
        return None
    told = value.rjust(16, "0")
    return bytes.fromhex(told) if _is_hex(told, 16) else None


def _is_hex(value: str, digits: int) -> bool:
    return len(value) == digits and _HEX.fullmatch(value) is not None


_VALUES: Final[Mapping[str, Callable[[Any], Any]]] = {
    "stringValue": _text,
    "bytesValue": _text,
    "boolValue": lambda told: told is True,
    "intValue": _number,
    "doubleValue": _float,
    "arrayValue": lambda told: [_value(one) for one in _list(_mapping(told), "values")],
    "kvlistValue": lambda told: dict(_pairs(_list(_mapping(told), "values"))),
}
