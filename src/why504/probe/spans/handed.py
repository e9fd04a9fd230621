"""What the probe's own spans are within, in a thread that a request handed work to.

Where the spans are ours, the thread has the request's context. A provider of the application's own
decides what its spans are within, unasked: there only our spans are the request's.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, Tracer

from why504.probe.lean.current import current_context, span_context
from why504.probe.lean.provider import LeanProvider

HANDED: Final[ContextVar[Context | None]] = ContextVar("why504_handed", default=None)
"""The context that the running work was handed over in, where it is not the thread's own."""


def spans_are_ours() -> bool:
    """Return whether the application has no tracer provider of its own, as far as is known."""
    return isinstance(trace.get_tracer_provider(), LeanProvider)


def context_to_hand_on() -> Context:
    """Return the context that work is within: the current one, unless it has no span."""
    handed = HANDED.get()
    return current_context() if handed is None or span_context().is_valid else handed


class HandedTracer(Tracer):
    """A tracer whose spans are the request's though the thread's context is not."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def start_span(
        self, name: str, context: Context | None = None, *args: Any, **kwargs: Any
    ) -> Span:
        """Start a span."""
        return self._tracer.start_span(name, _within(context), *args, **kwargs)

    def start_as_current_span(  # type: ignore[override]
        self, name: str, context: Context | None = None, *args: Any, **kwargs: Any
    ) -> AbstractContextManager[Span]:
        """Start a span that is the current one for a while."""
        return self._tracer.start_as_current_span(name, _within(context), *args, **kwargs)


def _within(context: Context | None) -> Context | None:
    return context if context is not None or HANDED.get() is None else context_to_hand_on()
