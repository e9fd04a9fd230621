"""Records on the wire: spans with ids and times of our choosing, sent past the sampler.

Knows nothing of the rest of the probe: `watch/` tells its records in the same shape.
Shape of a record: docs/how-evidence-travels.md.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util.types import AttributeValue

import why504

QUEUE_LIMIT: Final = 8192
"""Spans kept at most while the collector does not take them; the oldest are dropped."""
DELAY_MS: Final = 500.0
"""Evidence is at most this old when it leaves: somebody waits for the answer."""
EXPORT_TIMEOUT_S: Final = 3.0
"""One export, retries included: bounds how long a black-holed collector delays an exit."""
PATIENCE_S: Final = 1.0
"""How long an exit waits for the export that goes on: it need not be in trouble."""


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
    """

    def __init__(
        self,
        endpoint: str,
        resource: Callable[[], Resource],
        *,
        on_failure: Callable[[int], object] = lambda spans: None,
    ) -> None:
        self._resource = resource
        self._export = Export(endpoint, on_failure)

    def send(self, record: RecordSpan) -> None:
        """Queue one record; the oldest is dropped when 8,192 wait already."""
        self._export.take(readable(record, self._resource()))

    def flush(self) -> None:
        """Send what is queued now; returns when it was taken or given up."""
        self._export.flush()

    def shutdown(self) -> None:
        """Send what is queued and end the thread; what comes later is dropped."""
        self._export.stop()


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
        instrumentation_scope=InstrumentationScope("why504", why504.__version__),
    )


class Export:
    """A bounded queue of ended spans, and the thread that sends them over OTLP/HTTP.

    Args:
        endpoint: base URL, `http://127.0.0.1:4318`; `/v1/traces` is added.
        on_failure: called with the number of spans whenever an export failed.
    """

    def __init__(self, endpoint: str, on_failure: Callable[[int], object]) -> None:
        # Imported here: it brings `requests`, which costs 50 ms that a command line need not pay.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        url = endpoint.rstrip("/") + "/v1/traces"
        self._exporter = _WatchedExporter(
            OTLPSpanExporter(endpoint=url, timeout=EXPORT_TIMEOUT_S), on_failure
        )
        self._processor = BatchSpanProcessor(
            self._exporter,
            max_queue_size=QUEUE_LIMIT,
            schedule_delay_millis=DELAY_MS,
            max_export_batch_size=512,
        )

    def take(self, span: ReadableSpan) -> None:
        """Queue one ended span; the oldest is dropped when 8,192 wait already."""
        self._processor.on_end(span)

    def flush(self) -> None:
        """Send what is queued now; returns when it was taken or given up."""
        self._processor.force_flush()

    def stop(self) -> None:
        """Send what is queued and end the thread; a dead collector is not waited for."""
        if self._exporter.in_trouble(after_s=PATIENCE_S):
            self._exporter.shutdown()
        self._processor.shutdown()  # type: ignore[no-untyped-call]


class _WatchedExporter(SpanExporter):
    """Tells how many spans were lost, which the SDK only logs."""

    def __init__(self, inner: SpanExporter, on_failure: Callable[[int], object]) -> None:
        self._inner = inner
        self._on_failure = on_failure
        self._failed = False
        self._idle = threading.Event()
        self._idle.set()
        self._stopped = False

    def in_trouble(self, after_s: float) -> bool:
        """Whether the last export failed, or the one that goes on now lasts this much longer."""
        return self._failed or not self._idle.wait(after_s) or self._failed

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self._stopped:
            return SpanExportResult.FAILURE
        self._idle.clear()
        try:
            result = self._inner.export(spans)
            self._failed = result is not SpanExportResult.SUCCESS
        finally:
            self._idle.set()
        if self._failed:
            self._on_failure(len(spans))
        return result

    def shutdown(self) -> None:
        if not self._stopped:
            self._stopped = True
            self._inner.shutdown()
