"""The span that code runs in, found by fewer calls than OpenTelemetry's API takes to find it."""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import Any, Final

from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.trace import INVALID_SPAN_CONTEXT, NonRecordingSpan, Span, SpanContext
from opentelemetry.trace.propagation import _SPAN_KEY

from why504.probe.givenback import give_back
from why504.probe.lean.span import LeanSpan


def _variable() -> ContextVar[Context] | None:
    """Return the variable that the current context is kept in, unless it is kept elsewhere."""
    runtime = otel._RUNTIME_CONTEXT
    return runtime._current_context if isinstance(runtime, ContextVarsRuntimeContext) else None


_VARIABLE: Final = _variable()
current_context: Final = otel.get_current if _VARIABLE is None else _VARIABLE.get
"""OpenTelemetry's `get_current`."""
attach: Final = otel.attach if _VARIABLE is None else _VARIABLE.set
"""OpenTelemetry's."""


def leave(token: Token[Context]) -> None:
    """Detach what `attach` attached; what ends in another context leaves that as it is, silently.

    OpenTelemetry's `detach` logs an error then, into the log of an application that did nothing.
    """
    if _VARIABLE is None:
        otel.detach(token)
    else:
        give_back(_VARIABLE, token)


def detach(token: Token[Context]) -> None:
    """OpenTelemetry's: never raises."""
    try:
        if _VARIABLE is not None:
            _VARIABLE.reset(token)
            return
    except (ValueError, RuntimeError):
        pass  # of another context, or detached before: OpenTelemetry says so
    otel.detach(token)


def within(span: Span, around: Context | None = None) -> Context:
    """Return the context of what runs in a span, and has what `around` has besides."""
    return Context({**(around or {}), _SPAN_KEY: span})


def span_context(context: Context | None = None) -> SpanContext:
    """Return the ids of the span in a context, the current one unless told; invalid without one."""
    span: Any = (current_context() if context is None else context).get(_SPAN_KEY)
    kind = span.__class__
    if kind is LeanSpan or kind is NonRecordingSpan:
        found: SpanContext = span._context
        return found
    return span.get_span_context() if isinstance(span, Span) else INVALID_SPAN_CONTEXT
