"""Spans as Tempo shows them: in whole traces as OTLP with base64 ids, in searches by attribute."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any, Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from lab.standins.traceql import Seen


def seen(span: Span, resource: Mapping[str, Any]) -> Seen:
    """Return a span as a search sees it."""
    return Seen(
        span_id=span.span_id,
        parent_id=span.parent_span_id,
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        status=("unset", "ok", "error")[span.status.code],
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        attributes=plain(span.attributes),
        resource=resource,
    )


def plain(pairs: Any) -> dict[str, Any]:
    """Return attributes as plain values; lists and maps can't be searched for here."""
    told = ((pair.key, pair.value, pair.value.WhichOneof("value")) for pair in pairs)
    return {
        key: getattr(value, kind)
        for key, value, kind in told
        if kind and kind not in ("array_value", "kvlist_value")
    }


def resource_spans(scopes: list[list[Any]]) -> dict[str, Any]:
    """Return the spans of one resource, by scope, as `/api/v2/traces` tells them."""
    resource = scopes[0][0][0]
    return {
        "resource": {"attributes": _pairs(resource.attributes)},
        "scopeSpans": [
            {
                "scope": {"name": scope[0][1].name, "version": scope[0][1].version},
                "spans": [_span(span) for _, _, span in scope],
            }
            for scope in scopes
        ],
    }


def _span(span: Span) -> dict[str, Any]:
    """Return a span as `/api/v2/traces` tells it: what is empty is left out."""
    status: dict[str, Any] = {"message": span.status.message} if span.status.message else {}
    if span.status.code:
        status["code"] = ("", "STATUS_CODE_OK", "STATUS_CODE_ERROR")[span.status.code]
    told = {
        "traceId": _base64(span.trace_id),
        "spanId": _base64(span.span_id),
        "parentSpanId": _base64(span.parent_span_id),
        "name": span.name,
        "kind": Span.SpanKind.Name(span.kind),
        "startTimeUnixNano": str(span.start_time_unix_nano),
        "endTimeUnixNano": str(span.end_time_unix_nano),
        "attributes": _pairs(span.attributes),
    }
    return {key: value for key, value in told.items() if value} | {"status": status}


def _pairs(pairs: Any) -> list[dict[str, Any]]:
    return [_pair(pair) for pair in pairs]


def _pair(pair: KeyValue) -> dict[str, Any]:
    return {"key": pair.key, "value": _value(pair.value)}


def _value(value: AnyValue) -> dict[str, Any]:
    kind = value.WhichOneof("value")
    if kind is None:
        return {}
    told = getattr(value, kind)
    name, show = _VALUES[kind]
    return {name: show(told)}


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


_VALUES: Final[Mapping[str, tuple[str, Callable[[Any], Any]]]] = {
    "string_value": ("stringValue", str),
    "bool_value": ("boolValue", bool),
    "int_value": ("intValue", str),
    "double_value": ("doubleValue", float),
    "bytes_value": ("bytesValue", _base64),
    "array_value": ("arrayValue", lambda told: {"values": [_value(one) for one in told.values]}),
    "kvlist_value": ("kvlistValue", lambda told: {"values": _pairs(told.values)}),
}
