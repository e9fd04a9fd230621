"""The pieces of OTLP/JSON that every reader builds: ids, values, spans by resource.

Source: OTLP specification 1.x, "JSON Protobuf Encoding": ids are hex, 64-bit integers are text.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

Request = dict[str, Any]
"""An ExportTraceServiceRequest as JSON."""
Values = Mapping[str, Any]

TRACE_DIGITS: Final = 32
SPAN_DIGITS: Final = 16
KINDS: Final[Mapping[str, int]] = {
    "internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5,
}  # fmt: skip
ERROR: Final = 2
"""Code of a span that failed."""


def trace_id(told: object) -> str:
    """Return 32 digits; shorter ids are padded, and what is no id gets one of its own."""
    return _hex(told, TRACE_DIGITS)


def span_id(told: object) -> str:
    """Return 16 digits, in the same way."""
    return _hex(told, SPAN_DIGITS)


def new_span_id(*parts: object) -> str:
    """Return an id that the same parts always get."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:SPAN_DIGITS]


def attributes(told: Values) -> list[dict[str, Any]]:
    """Return key and value pairs; what is None is left out."""
    return [{"key": key, "value": value(one)} for key, one in told.items() if one is not None]


def value(told: Any) -> dict[str, Any]:
    """Return an AnyValue; maps become text."""
    if isinstance(told, bool):
        return {"boolValue": told}
    if isinstance(told, int):
        return {"intValue": str(told)} if -(2**63) <= told < 2**63 else {"stringValue": str(told)}
    if isinstance(told, float):
        return {"doubleValue": told}
    if isinstance(told, list):
        return {"arrayValue": {"values": [value(one) for one in told]}}
    return {"stringValue": str(told)}


def request(spans: Iterable[tuple[Values, dict[str, Any]]]) -> Request:
    """Return a request of `(resource attributes, span)`, spans of one resource together."""
    by_resource: dict[tuple[tuple[str, Any], ...], list[dict[str, Any]]] = defaultdict(list)
    for resource, span in spans:
        by_resource[tuple(sorted(resource.items(), key=repr))].append(span)
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": attributes(dict(resource))},
                "scopeSpans": [{"spans": members}],
            }
            for resource, members in by_resource.items()
        ]
    }


def _hex(told: object, digits: int) -> str:
    text = str(told).lower()
    if text and len(text) <= digits and not set(text) - set("0123456789abcdef"):
        return text.rjust(digits, "0")
    return hashlib.sha256(text.encode()).hexdigest()[:digits]
