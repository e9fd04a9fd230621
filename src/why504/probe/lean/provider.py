"""A tracer provider whose spans cost little; everything else is the SDK's, which it is one of."""

from __future__ import annotations

import os
import threading
import weakref

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, Tracer, TracerProvider
from opentelemetry.trace import Tracer as AnyTracer
from opentelemetry.util.types import Attributes

from why504.probe.lean.tracer import LeanTracer


class LeanProvider(TracerProvider):
    """Sampler, limits, ids and SDK's processors as in the SDK, and read from the same variables."""

    def __init__(self, resource: Resource) -> None:
        self.limits = SpanLimits()
        super().__init__(resource=resource, span_limits=self.limits)
        self._lean: dict[Tracer, LeanTracer] = {}
        self._lean_lock = threading.RLock()
        self.told_of_starts: tuple[SpanProcessor, ...] = ()
        self.told_of_ending: tuple[SpanProcessor, ...] = ()
        self.told_of_ends: tuple[SpanProcessor, ...] = ()
        if hasattr(os, "register_at_fork"):
            _go_on_in_children(self)

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> AnyTracer:
        """Return the tracer of a library."""
        known = super().get_tracer(
            instrumenting_module_name, instrumenting_library_version, schema_url, attributes
        )
        if not isinstance(known, Tracer):
            return known  # OTEL_SDK_DISABLED
        lean = self._lean.get(known)
        if lean is None:
            with self._lean_lock:
                lean = self._lean.setdefault(known, LeanTracer(known, self))
        return lean

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        """Have a processor told of spans; of what it does nothing about, it is not."""
        super().add_span_processor(span_processor)
        self.told_of_starts += _if_it_does(span_processor, "on_start")
        self.told_of_ending += _if_it_does(span_processor, "_on_ending")
        ends = self.told_of_ends + _if_it_does(span_processor, "on_end")
        # What others redact as a span ends is redacted before it is kept or sent.
        self.told_of_ends = tuple(sorted(ends, key=_is_told_last))

    def remove_span_processor(self, span_processor: SpanProcessor) -> None:
        """Tell a processor nothing any more; the SDK has no way to do that."""
        self.told_of_starts = _without(self.told_of_starts, span_processor)
        self.told_of_ending = _without(self.told_of_ending, span_processor)
        self.told_of_ends = _without(self.told_of_ends, span_processor)

    def _handle_fork(self) -> None:
        # The SDK's starts threads in the child, to ask anew who speaks: a lock that was held when
        # the process forked would hold the child for good.
        self._tracers_lock = threading.Lock()

    def forked(self) -> None:
        """Go on in a child process: a lock may have been held by a thread that is not here."""
        self._lean_lock = threading.RLock()


def _if_it_does(processor: SpanProcessor, method: str) -> tuple[SpanProcessor, ...]:
    nothing = getattr(SpanProcessor, method)
    return () if getattr(type(processor), method, None) is nothing else (processor,)


def _is_told_last(processor: SpanProcessor) -> bool:
    return getattr(processor, "told_last", None) is True


def _without(
    processors: tuple[SpanProcessor, ...], gone: SpanProcessor
) -> tuple[SpanProcessor, ...]:
    return tuple(one for one in processors if one is not gone)


def _go_on_in_children(provider: LeanProvider) -> None:
    forked = weakref.WeakMethod(provider.forked)

    def in_child() -> None:
        known = forked()
        if known is not None:
            known()

    os.register_at_fork(after_in_child=in_child)
