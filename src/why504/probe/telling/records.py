"""Records on the wire: spans with ids and times of our choosing, sent past the sampler.

Knows nothing of the rest of the probe: `watch/` tells its records in the same shape.
Shape of a record: docs/how-evidence-travels.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util.types import AttributeValue

import why504
from why504.probe.lean.outbox import Outbox
from why504.probe.lean.spanwire import (
    UNSET,
    encode_scope,
    encode_span,
    encode_status,
)
from why504.probe.lean.wire import encode_attributes


@dataclass(frozen=True, slots=True)
class RecordSpan:
    """One span to send as it is. Ids are integers as in OpenTelemetry's API, times Unix ns."""

    name: str
    trace_id: int
    span_id: int
    parent_id: int | None
    start_ns: int
    end_ns: int
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    kind: SpanKind = SpanKind.INTERNAL
    error: str | None = None
    """Description of the failure; None leaves the status unset."""


class Sender(Protocol):
    """Takes records; `RecordSender` sends them, `why504.testing.CollectedRecords` keeps them."""

    def send(self, record: RecordSpan) -> None:
        """Take one record; never blocks, never raises for a dead collector."""


class Ids(Protocol):
    """Mints trace and span ids; never 0."""

    def generate_trace_id(self) -> int:
        """Return 128 bits."""

    def generate_span_id(self) -> int:
        """Return 64 bits."""


def random_ids() -> Ids:
    """Return OpenTelemetry's own id generator."""
    return RandomIdGenerator()


class RecordSender:
    """Sends records over OTLP/HTTP from a thread of its own; its queue is bounded.

    Args:
        endpoint: base URL, `http://127.0.0.1:4318`; `/v1/traces` is added.
        resource: returns who speaks: `service.name`, `service.instance.id`.
        on_failure: called with the number of spans whenever an export failed.
        on_lost: called with the number of spans that nobody will ever see.
    """

    def __init__(
        self,
        endpoint: str,
        resource: Callable[[], Resource],
        *,
        on_failure: Callable[[int], object] = lambda spans: None,
        on_lost: Callable[[int], object] = lambda spans: None,
    ) -> None:
        self.outbox = Outbox(endpoint, resource, on_failure=on_failure, on_lost=on_lost)
        self._scope = encode_scope(_scope())

    def send(self, record: RecordSpan) -> None:
        """Queue one record; the oldest is dropped when 8,192 wait already."""
        self.outbox.take((self._scope, encoded(record)))

    def flush(self) -> None:
        """Send what is queued now; returns when it was taken or given up."""
        self.outbox.flush()

    def shutdown(self) -> None:
        """Send what is queued and end the thread; what comes later is dropped."""
        self.outbox.stop()


def encoded(record: RecordSpan) -> bytes:
    """Return a record as a member of `ScopeSpans.spans`; the same as `readable` makes of it."""
    parent = None
    if record.parent_id is not None:
        parent = SpanContext(record.trace_id, record.parent_id, is_remote=False)
    failed = record.error is not None
    return encode_span(
        record.name,
        record.kind,
        record.trace_id,
        record.span_id,
        parent,
        record.start_ns,
        max(record.end_ns, record.start_ns),
        encode_attributes(record.attributes),
        encode_status(StatusCode.ERROR, record.error) if failed else UNSET,
    )


def readable(record: RecordSpan, resource: Resource) -> ReadableSpan:
    """Return a record as the SDK's exporters take it, told by `resource`."""
    sampled = TraceFlags(TraceFlags.SAMPLED)
    context = SpanContext(record.trace_id, record.span_id, is_remote=False, trace_flags=sampled)
    parent = None
    if record.parent_id is not None:
        parent = SpanContext(record.trace_id, record.parent_id, False, sampled)
    status = Status() if record.error is None else Status(StatusCode.ERROR, record.error)
    return ReadableSpan(
        name=record.name,
        context=context,
        parent=parent,
        resource=resource,
        attributes=dict(record.attributes),
        kind=record.kind,
        status=status,
        start_time=record.start_ns,
        end_time=max(record.end_ns, record.start_ns),
        instrumentation_scope=_scope(),
    )


def _scope() -> InstrumentationScope:
    return InstrumentationScope("why504", why504.__version__)
