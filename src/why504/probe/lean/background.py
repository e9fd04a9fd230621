"""Spans of Starlette's background tasks: they go on after the request's own span has ended."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from opentelemetry.trace import Span, Tracer

from why504.probe.safety import Guard
from why504.probe.spans.spanned import spanned_async


class BackgroundSpans:
    """Wraps `BackgroundTask.__call__` of the process; whoever came first is left alone.

    Args:
        tracer: makes the spans.
        guard: swallows and counts what goes wrong in here.
    """

    def __init__(self, tracer: Tracer, guard: Guard) -> None:
        self._tracer = tracer
        self._guard = guard.site("background")
        self._wrapper: Callable[..., Any] | None = None

    def attach(self) -> None:
        """Wrap it, unless OpenTelemetry's instrumentor or another probe has."""
        task = _task()
        if task is None or hasattr(task, "_otel_original_call") or hasattr(task, "_why504_call"):
            return
        self._wrapper = spanned_async(task.__call__, self._begin, self._guard)
        task._why504_call, task.__call__ = task.__call__, self._wrapper

    def _begin(self, task: Any) -> Span | None:
        if self._wrapper is None:
            return None  # detached, and somebody else's wrapper calls ours still
        name = getattr(task.func, "__name__", type(task.func).__name__)
        return self._tracer.start_span(f"BackgroundTask {name}")

    def detach(self) -> None:
        """Undo it; where somebody has wrapped it since, it stays and makes no spans."""
        task = _task()
        if task is not None and self._wrapper is not None:
            if task.__call__ is self._wrapper:
                task.__call__ = task._why504_call
            del task._why504_call
        self._wrapper = None


def _task() -> Any:
    module = sys.modules.get("starlette.background")
    return None if module is None else module.BackgroundTask
