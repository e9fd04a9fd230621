"""The span that code runs in, found by fewer calls than OpenTelemetry's API takes to find it."""

from __future__ import annotations

from opentelemetry.context import Context, get_current
from opentelemetry.trace import INVALID_SPAN_CONTEXT, Span, SpanContext
from opentelemetry.trace.propagation import _SPAN_KEY

from why504.probe.lean.span import LeanSpan


def span_context(context: Context | None = None) -> SpanContext:
    """Return the ids of the span in a context, the current one unless told; invalid without one."""
    span = (get_current() if context is None else context).get(_SPAN_KEY)
    if span.__class__ is LeanSpan:
        found: SpanContext = span._context
        return found
    return span.get_span_context() if isinstance(span, Span) else INVALID_SPAN_CONTEXT
