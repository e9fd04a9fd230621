"""Outgoing calls: one span each; of a call that sampling drops, one all the same if it takes long.

Head sampling throws away nine traces of ten, and with them the query that hangs. What stands for a
dropped call costs an entry in the registry; the publisher tells it like any span that is open.
"""

from __future__ import annotations

from collections.abc import Mapping
from threading import get_ident
from typing import Final

from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
)
from opentelemetry.util.types import AttributeValue

from why504 import names
from why504.probe import site
from why504.probe.inflight import REQUEST, OpenSpan, Place, Registry
from why504.probe.lean.current import span_context
from why504.probe.lean.span import LeanSpan
from why504.probe.lean.wire import Prepared
from why504.probe.spans.latetracer import LateTracer
from why504.probe.telling.dropped import Dropped

_THREADS_KEPT: Final = 1024


class Calls:
    """Begins the spans of outgoing calls: to databases, brokers, LLMs and other services.

    Args:
        tracer: makes the spans; its sampler may drop them.
        registry: what is open now.
        dropped: takes a dropped call that has ended.
    """

    def __init__(self, tracer: LateTracer, registry: Registry, dropped: Dropped) -> None:
        self._tracer = tracer
        self._registry = registry
        self._dropped = dropped
        # Of what a call begins with, this alone differs from the last time that it was made.
        self._threads: dict[int, Prepared] = {}

    def begin(
        self,
        name: str,
        attributes: Mapping[str, AttributeValue],
        kind: SpanKind = SpanKind.CLIENT,
    ) -> Span:
        """Return the span of a call that begins now; whoever made the call ends it."""
        thread_id = get_ident()
        own = self._threads.get(thread_id) or self._thread(thread_id)
        if attributes.__class__ is Prepared:
            span = self._tracer.start_call(name, kind, attributes, own)
        else:
            span = self._tracer.start_span(name, None, kind, {**attributes, **own})
        if span.__class__ is LeanSpan or span.is_recording():
            return span
        context, place = span.get_span_context(), Place.here()
        self._registry.saw(place, context.trace_id)
        # A tracer that is switched off returns the span around: that one is nobody's call.
        if not context.is_valid or context.span_id in self._registry.spans:
            return span
        parent_id = _parent_id(context.trace_id)
        told = {**attributes, names.THREAD_ID: place.thread_id}
        entry = OpenSpan.dropped(context, kind, name=name, parent_id=parent_id, attributes=told)
        return DroppedCall(entry, context, self) if self._registry.keep(entry, place) else span

    def _thread(self, thread_id: int) -> Prepared:
        if len(self._threads) >= _THREADS_KEPT:
            self._threads.clear()
        self._threads[thread_id] = told = Prepared({names.THREAD_ID: thread_id})
        return told

    def ended(self, entry: OpenSpan, error: str | None) -> None:
        """Forget a dropped call; tell it if it, or its request, took long.

        One that failed is told once the request takes long: what it does then may be a pause.
        """
        if self._registry.close(entry.span_id) is None:
            return
        request = REQUEST.get()
        if request is not None and request.span_id not in self._registry.spans:
            request = None
        if self._dropped.is_long(entry) or (request and self._dropped.is_of_a_long_one(request)):
            # The caller's own line, unless an error ended the call from somewhere else.
            line = site.user_line(site.current_lines()) if error is None else None
            told = {**site.attributes_of(line), **(entry.attributes or {})}
            self._dropped.tell(entry, told, error)
        elif error is not None and request is not None and request.span is None:
            request.keep_failed(self._dropped.final(entry, entry.attributes or {}, error))


class DroppedCall(NonRecordingSpan):
    """Stands for the span of a call that sampling dropped; keeps what it is told."""

    def __init__(self, entry: OpenSpan, context: SpanContext, calls: Calls) -> None:
        super().__init__(context)
        self._entry = entry
        self._calls = calls
        self._error: str | None = None

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """Add what is known of the call by now."""
        if self._entry.attributes is not None:
            self._entry.attributes[key] = value

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Note whether the call failed, and how."""
        if isinstance(status, StatusCode):
            status = Status(status, description)
        self._error = None if status.is_unset or status.is_ok else status.description or ""

    def end(self, end_time: int | None = None) -> None:
        """End the call now."""
        self._calls.ended(self._entry, self._error)


def _parent_id(trace_id: int) -> int | None:
    """Return what a dropped call is a part of: its request, which is told if the call is."""
    request = REQUEST.get()
    if request is not None and request.span is None and request.trace_id == trace_id:
        return request.span_id
    context = span_context()
    return context.span_id if context.is_valid else None
