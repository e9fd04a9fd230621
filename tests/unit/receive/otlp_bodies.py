"""Requests as a client would send them, built with OpenTelemetry's own protobuf classes."""

from __future__ import annotations

import itertools
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    KeyValue,
    KeyValueList,
)

from why504.receive.decode import Batch
from why504.receive.pairs import Pairs
from why504.receive.table import table

T0_NS = 1_795_450_135_000_000_000
SECOND_NS = 1_000_000_000
_ids = itertools.count(1)


def any_value(value: Any) -> AnyValue:
    match value:
        case None:
            return AnyValue()
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
        case bytes():
            return AnyValue(bytes_value=value)
        case list():
            return AnyValue(array_value=ArrayValue(values=[any_value(one) for one in value]))
        case dict():
            return AnyValue(kvlist_value=KeyValueList(values=key_values(value)))
    raise TypeError(value)


def key_values(attributes: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()]


def span(**given: Any) -> dict[str, Any]:
    """A span of one second with ids of its own; times in seconds after T0."""
    number = next(_ids)
    told = {
        "trace_id": number.to_bytes(16, "big"),
        "span_id": number.to_bytes(8, "big"),
        "name": "GET /",
        "kind": 2,
        "start_s": 0.0,
        "end_s": 1.0,
        "attributes": {},
    } | given
    return told


def request(
    *spans: dict[str, Any], resource: dict[str, Any] | None = None
) -> ExportTraceServiceRequest:
    message = ExportTraceServiceRequest()
    told = message.resource_spans.add()
    told.resource.attributes.extend(
        key_values(resource or {"service.name": "shop", "service.instance.id": "shop-1"})
    )
    scope = told.scope_spans.add()
    for one in spans:
        made = scope.spans.add(
            trace_id=one["trace_id"],
            span_id=one["span_id"],
            parent_span_id=one.get("parent_id", b""),
            name=one["name"],
            kind=one["kind"],
            start_time_unix_nano=T0_NS + round(one["start_s"] * SECOND_NS),
            end_time_unix_nano=T0_NS + round(one["end_s"] * SECOND_NS),
            attributes=key_values(one["attributes"]),
        )
        made.status.code = one.get("status", 0)
    return message


def protobuf(*spans: dict[str, Any], resource: dict[str, Any] | None = None) -> bytes:
    return request(*spans, resource=resource).SerializeToString()


def columns(batch: Batch) -> dict[str, list[Any]]:
    """The rows that a batch becomes in a segment, by column."""
    return table([batch], Pairs()).to_pydict()
