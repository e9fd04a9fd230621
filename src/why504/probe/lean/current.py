"""The span that code runs in, found by fewer calls than OpenTelemetry's API takes to find it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.trace import INVALID_SPAN_CONTEXT, Span, SpanContext
from opentelemetry.trace.propagation import _SPAN_KEY

from why504.probe.lean.span import LeanSpan


def _reader() -> Callable[[], Context]:
    """Return what reads the current context: the variable itself, where it is kept in one."""
    runtime = otel._RUNTIME_CONTEXT
    if isinstance(runtime, ContextVarsRuntimeContext):
        return runtime._current_context.get
    return otel.get_current


current_context: Final = _reader()


def within(span: Span, around: Context | None = None) -> Context:
    """Return the context of what runs in a span, and has what `around` has besides."""
    return Context({**(around or {}), _SPAN_KEY: span})


def span_context(context: Context | None = None) -> SpanContext:
    """Return the ids of the span in a context, the current one unless told; invalid without one."""
    span = (current_context() if context is None else context).get(_SPAN_KEY)
    if span.__class__ is LeanSpan:
        found: SpanContext = span._context
        return found
    return span.get_span_context() if isinstance(span, Span) else INVALID_SPAN_CONTEXT
