"""Jaeger's JSON, as its API and the "Download" button of its page give it: `{"data": [trace]}`.

Source: jaegertracing/jaeger, model/json. Times are whole microseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from why504 import names
from why504.receive.formats import otlpjson
from why504.receive.formats.otlpjson import Request

_PARENTS: Final = ("CHILD_OF", "FOLLOWS_FROM")
"""Kinds of references that name a parent, the stronger first."""


def is_jaeger(document: Any) -> bool:
    """Return whether a document looks like Jaeger's: with or without `data` around its traces."""
    return any(_is_trace(trace) for trace in _traces(document))


def requests(document: Any) -> Iterator[Request]:
    """Yield a request for each trace."""
    for trace in _traces(document):
        if _is_trace(trace):
            yield otlpjson.request(_spans(trace))


def _traces(document: Any) -> list[Any]:
    told = document.get("data", document) if isinstance(document, dict) else None
    return told if isinstance(told, list) else [told]


def _is_trace(trace: Any) -> bool:
    return (
        isinstance(trace, dict)
        and isinstance(trace.get("spans"), list)
        and isinstance(trace.get("processes", {}), dict)
    )


def _spans(trace: dict[str, Any]) -> Iterator[tuple[Mapping[str, Any], dict[str, Any]]]:
    for span in trace["spans"]:
        process = trace.get("processes", {}).get(span.get("processID")) or span.get("process") or {}
        told_in = span.get("traceID", trace.get("traceID", ""))
        yield _resource(process), _span(span, told_in)


def _resource(process: dict[str, Any]) -> dict[str, Any]:
    told = _values(process.get("tags"))
    # What tells two processes of a service apart: its own id if any, else the machine.
    instance = told.get(names.SERVICE_INSTANCE) or told.get("host.name") or told.get("hostname")
    service = process.get("serviceName") or names.UNKNOWN_SERVICE
    return {**told, names.SERVICE_NAME: service, names.SERVICE_INSTANCE: instance}


def _span(span: dict[str, Any], trace_id: str) -> dict[str, Any]:
    told = _values(span.get("tags"))
    start_us, lasted_us = int(span.get("startTime") or 0), int(span.get("duration") or 0)
    parent, reference = _parent(span, trace_id)
    if reference == _PARENTS[1]:
        told[names.REFERENCE_TYPE] = names.FOLLOWS_FROM
    kind = str(told.pop("span.kind", "internal")).lower()
    own_id = otlpjson.span_id(span.get("spanID", ""))
    return {
        "traceId": otlpjson.trace_id(trace_id),
        "spanId": own_id,
        "parentSpanId": parent,
        "name": str(span.get("operationName", "")),
        "kind": otlpjson.KINDS.get(kind, otlpjson.KINDS["internal"]),
        "startTimeUnixNano": str(start_us * 1000),
        "endTimeUnixNano": str((start_us + lasted_us) * 1000),
        "status": {"code": otlpjson.ERROR} if _failed(told.get("error")) else {},
        "attributes": otlpjson.attributes(told),
    }


def _failed(error: Any) -> bool:
    return error is True or (isinstance(error, str) and error.lower() != "false")


def _parent(span: dict[str, Any], trace_id: str) -> tuple[str, str]:
    """Return the parent's id and the kind of the reference; another trace's span is none."""
    for kind in _PARENTS:
        for reference in span.get("references") or ():
            same = reference.get("traceID", trace_id) == trace_id
            if reference.get("refType") == kind and same:
                return otlpjson.span_id(reference.get("spanID", "")), kind
    if span.get("parentSpanID"):  # written by Jaeger before 1.10
        return otlpjson.span_id(span["parentSpanID"]), _PARENTS[0]
    return "", ""


def _values(tags: list[dict[str, Any]] | None) -> dict[str, Any]:
    return {tag["key"]: _value(tag) for tag in tags or ()}


def _value(tag: dict[str, Any]) -> Any:
    """Return a tag's value; integers beyond 2^53 are written as text, binary as base64."""
    told = tag.get("value")
    if tag.get("type") == "int64" and isinstance(told, str):
        return int(told)
    return float(told) if tag.get("type") == "float64" and told is not None else told
