"""OTLP/JSON in files: one request, a request a line (collector's file exporter), Tempo's answers.

Tempo's API wraps the same in `batches` or `trace`, and writes ids as base64.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any, Final

from why504.receive.formats.otlpjson import SPAN_DIGITS, TRACE_DIGITS, Request

_WRAPPED: Final = ("resourceSpans", "resource_spans", "batches")
_IDS: Final[Mapping[str, int]] = {
    "traceId": TRACE_DIGITS, "trace_id": TRACE_DIGITS,
    "spanId": SPAN_DIGITS, "span_id": SPAN_DIGITS,
    "parentSpanId": SPAN_DIGITS, "parent_span_id": SPAN_DIGITS,
}  # fmt: skip


def is_otlp(document: Any) -> bool:
    """Return whether a document looks like a request with spans."""
    return any(isinstance(_inner(document).get(key), list) for key in _WRAPPED)


def requests(document: Any) -> Iterator[Request]:
    """Yield the request that it is."""
    inner = _inner(document)
    told = next(inner[key] for key in _WRAPPED if isinstance(inner.get(key), list))
    for span in _spans(told):
        for key in _IDS.keys() & span.keys():
            span[key] = _as_hex(span[key], _IDS[key])
    yield {"resourceSpans": told}


def _inner(document: Any) -> dict[str, Any]:
    if not isinstance(document, dict):
        return {}
    trace = document.get("trace")
    return trace if isinstance(trace, dict) else document


def _spans(told: list[Any]) -> Iterator[dict[str, Any]]:
    for resource in told:
        if not isinstance(resource, dict):
            continue
        for scope in resource.get("scopeSpans") or resource.get("scope_spans") or ():
            if isinstance(scope, dict):
                yield from (span for span in scope.get("spans") or () if isinstance(span, dict))


def _as_hex(told: Any, digits: int) -> Any:
    """Return an id as hex if it is base64 of the right length, else as it is."""
    if not isinstance(told, str) or len(told) == digits:
        return told
    try:
        raw = base64.b64decode(told, validate=True)
    except binascii.Error:
        return told
    return raw.hex() if len(raw) * 2 == digits else told
