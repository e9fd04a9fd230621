"""Writes hand-built evidence the way it comes in: OTLP bytes, decoded, into Parquet segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from tests.unit.dashboards import explorer_examples as told
from why504 import names
from why504.model import Evidence, Hold, Record, Span, Stall, Wait
from why504.receive.decode import Decoder
from why504.receive.segments import Segments

KINDS = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
RECORDS = {Wait: names.WAIT, Hold: names.HOLD, Stall: names.STALL}
HOSTILE = (
    '<img src=x onerror="window.planted=1"><script>window.planted=1</script> '
    "**bold** [x](javascript:alert(1)) https://planted.example \u202egnp.exe"
)
HOUR_NS = 3600 * told.SECOND


def write(folder: Path, stories: Sequence[Evidence]) -> None:
    """Make one segment of all stories; what is still open is told by a snapshot."""
    request = ExportTraceServiceRequest()
    for story in stories:
        for item in chain(story.spans, story.waits, story.holds, story.stalls):
            _add(request, item)
    Segments(folder / "segments").write("story", [Decoder().decode(request.SerializeToString())])


def pool_hang() -> list[Evidence]:
    """Return four 504s that waited for the pool, and the holder."""
    return [*(told.pool_trace(n) for n in range(1, 5)), told.holder_trace()]


def planted_hang() -> list[Evidence]:
    """Return the same hang an hour later, with hostile text wherever a stranger may choose it."""
    return [_planted(story) for story in pool_hang()]


def _planted(story: Evidence) -> Evidence:
    return replace(
        story,
        spans=[replace(_later(span), name=HOSTILE, stack=HOSTILE) for span in story.spans],
        waits=[replace(_later(wait), stack=HOSTILE) for wait in story.waits],
        holds=[replace(_later(hold), stack=HOSTILE) for hold in story.holds],
    )


def _later(item: Any) -> Any:
    shifted = {name: getattr(item, name) for name in ("start_ns", "end_ns", "last_seen_ns")}
    times = {name: at and at + HOUR_NS for name, at in shifted.items()}
    trace_id = item.trace_id[:-2] + "ff"
    attributes = dict(item.attributes)
    if isinstance(item, Span):
        attributes[names.HTTP_ROUTE] = HOSTILE
    # Another process: one that is heard of again would still have been open.
    changed = {"trace_id": trace_id, "attributes": attributes, "instance": item.instance + "-2"}
    return replace(item, **times, **changed)


def _add(request: ExportTraceServiceRequest, item: Span | Record) -> None:
    told_by = request.resource_spans.add()
    told_by.resource.attributes.extend(
        _attributes({names.SERVICE_NAME: item.service, names.SERVICE_INSTANCE: item.instance})
    )
    ended = item.end_ns is not None
    told_by.scope_spans.add().spans.add(
        trace_id=bytes.fromhex(item.trace_id),
        span_id=bytes.fromhex(item.span_id) if ended else _other_id(item.span_id),
        parent_span_id=bytes.fromhex(item.parent_id or ""),
        name=item.name if isinstance(item, Span) else f"record {item.resource}",
        kind=KINDS[item.kind] if isinstance(item, Span) else KINDS["internal"],
        start_time_unix_nano=item.start_ns,
        end_time_unix_nano=item.last_seen_ns,
        attributes=_attributes({**item.attributes, **_why504(item), **_place(item)}),
    )


def _other_id(span_id: str) -> bytes:
    return bytes.fromhex("ff" + span_id[2:])


def _why504(item: Span | Record) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if item.end_ns is None:
        found = {names.SNAPSHOT_OF: item.span_id, names.SNAPSHOT_SEQUENCE: 1}
        found[names.KIND] = names.SNAPSHOT
    if isinstance(item, Record):
        found |= {names.RESOURCE: item.resource, names.OUTCOME: item.outcome}
        found[names.KIND] = RECORDS[type(item)]
    elif item.end_ns is None:
        found |= {names.SNAPSHOT_PARENT: item.parent_id or "", names.SNAPSHOT_KIND: item.kind}
    return found


def _place(item: Span | Record) -> dict[str, Any]:
    found: dict[str, Any] = {names.CODE_STACKTRACE: item.stack} if item.stack else {}
    if item.site is not None:
        found |= {names.CODE_FILE: item.site.file, names.CODE_LINE: item.site.line}
        found[names.CODE_FUNCTION] = item.site.function
    return found


def _attributes(told_of: Mapping[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in told_of.items()]


def _value(value: Any) -> AnyValue:
    if isinstance(value, int) and not isinstance(value, bool):
        return AnyValue(int_value=value)
    return AnyValue(string_value=str(value))
