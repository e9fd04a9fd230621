"""Fills the stand-in for Tempo with what a folder of the embedded store holds, as it once came."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue

from lab.standins.tempoindex import Tempo
from why504 import tables
from why504.stores.records import Row

FLUSH_NS: Final = 5 * 10**9
"""Processes export as often."""
_SETTLED_S: Final = 3600.0
"""So long after the last of it Tempo is asked."""


def tempo_with(folder: Path) -> Tempo:
    """Return a stand-in that was sent what a folder holds, over time and in portions."""
    now = [0.0]
    tempo = Tempo(clock=lambda: now[0])
    for at_s, body in portions(rows_in(folder)):
        now[0] = at_s
        tempo.take(body)
    now[0] += _SETTLED_S
    return tempo


def rows_in(folder: Path) -> list[dict[str, Any]]:
    """Return the stored rows, oldest end first, as they would have been exported."""
    rows: list[dict[str, Any]] = []
    for file in sorted((folder / "segments").glob(tables.SEGMENT_GLOB)):
        rows += pq.read_table(file, columns=list(Row._fields)).to_pylist()
    return sorted(rows, key=lambda row: row["end_ns"])


def portions(rows: list[dict[str, Any]]) -> Iterator[tuple[float, bytes]]:
    """Yield what each process exported every five seconds: when, and an OTLP body."""
    groups: dict[tuple[int, str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["end_ns"] // FLUSH_NS, row["service"], row["instance"]].append(row)
    for (tick, service, instance), told in groups.items():
        message = ExportTraceServiceRequest()
        resource = message.resource_spans.add()
        named = {"service.name": service, "service.instance.id": instance}
        resource.resource.attributes.extend(_key_values(named))
        scope = resource.scope_spans.add()
        for row in told:
            _add(scope, row)
        yield (tick + 1) * FLUSH_NS / 1e9, message.SerializeToString()


def _add(scope: Any, row: Mapping[str, Any]) -> None:
    attributes = json.loads(row["attributes"])
    for column in tables.SPANS:
        if column.attribute and row[column.name] is not None:
            value = row[column.name]
            attributes[column.attribute] = value.hex() if isinstance(value, bytes) else value
    span = scope.spans.add(
        trace_id=row["trace_id"],
        span_id=row["span_id"],
        parent_span_id=row["parent_id"] or b"",
        name=row["name"],
        kind=row["kind"],
        start_time_unix_nano=row["start_ns"],
        end_time_unix_nano=row["end_ns"],
        attributes=_key_values(attributes),
    )
    span.status.code = row["status"]


def _key_values(attributes: Mapping[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_any_value(value)) for key, value in attributes.items()]


def _any_value(value: Any) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case list():
            return AnyValue(array_value=ArrayValue(values=[_any_value(one) for one in value]))
        case None:
            return AnyValue()
        case _:
            return AnyValue(string_value=str(value))
