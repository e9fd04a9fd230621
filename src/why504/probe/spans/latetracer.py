"""Tracers that are asked for before it is known whose provider makes the spans."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Protocol

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import Span, SpanKind, Tracer, TracerProvider

from why504.probe.lean.tracer import LeanTracer, start_call
from why504.probe.lean.wire import Prepared


class Provider(Protocol):
    """A tracer provider as OpenTelemetry's SDK has it; Logfire's is one, and no subclass."""

    @property
    def resource(self) -> Resource:
        """Who speaks."""

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        """Tell a processor of every span."""

    def get_tracer(self, instrumenting_module_name: str, *args: Any, **kwargs: Any) -> Tracer:
        """Return what makes spans."""


Find = Callable[[], tuple[Provider, bool]]
"""Returns the provider that is in force, and whether it will be from now on."""
StartCall = Callable[[str, SpanKind, Prepared, Prepared], Span]


class LateProvider(TracerProvider):
    """Stands for the provider that will be in force."""

    def __init__(self, find: Find) -> None:
        self._find = find

    def get_tracer(self, *args: Any, **kwargs: Any) -> Tracer:
        """Return a tracer that makes each span with the provider of that moment."""
        return LateTracer(self._find, lambda provider: provider.get_tracer(*args, **kwargs))


class LateTracer(Tracer):
    """Becomes a tracer of the provider that is settled on; costs nothing from then on."""

    def __init__(self, find: Find, tracer_of: Callable[[Provider], Tracer]) -> None:
        self._find = find
        self._tracer_of = tracer_of

    def start_span(self, *args: Any, **kwargs: Any) -> Span:
        """Start a span."""
        return self._now().start_span(*args, **kwargs)

    def start_as_current_span(  # type: ignore[override]
        self, *args: Any, **kwargs: Any
    ) -> AbstractContextManager[Span]:
        """Start a span that is the current one for a while."""
        return self._now().start_as_current_span(*args, **kwargs)

    def start_call(self, name: str, kind: SpanKind, prepared: Prepared, own: Prepared) -> Span:
        """Start the span of a call within the current one."""
        return _starts_calls(self._now())(name, kind, prepared, own)

    def _now(self) -> Tracer:
        provider, is_settled = self._find()
        real = self._tracer_of(provider)
        if is_settled:
            # Later calls go straight to it: a span must not cost a detour for ever.
            vars(self).update(
                start_span=real.start_span,
                start_as_current_span=real.start_as_current_span,
                start_call=_starts_calls(real),
            )
        return real


def _starts_calls(real: Tracer) -> StartCall:
    return real.start_call if isinstance(real, LeanTracer) else partial(start_call, real)
