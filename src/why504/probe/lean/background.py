"""Spans of Starlette's background tasks: they go on after the request's own span has ended."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from opentelemetry.trace import Tracer


class BackgroundSpans:
    """Wraps `BackgroundTask.__call__` of the process; whoever came first is left alone."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._wrapper: Callable[..., Any] | None = None

    def attach(self) -> None:
        """Wrap it, unless OpenTelemetry's instrumentor or another probe has."""
        task = _task()
        if task is None or hasattr(task, "_otel_original_call") or hasattr(task, "_why504_call"):
            return
        original, tracer = task.__call__, self._tracer

        @functools.wraps(original)
        async def traced_call(task: Any) -> None:
            name = getattr(task.func, "__name__", type(task.func).__name__)
            with tracer.start_as_current_span(f"BackgroundTask {name}"):
                await original(task)

        task._why504_call, task.__call__ = original, traced_call
        self._wrapper = traced_call

    def detach(self) -> None:
        """Undo it, unless somebody has wrapped it since: then it stays, and does no harm."""
        task = _task()
        if task is not None and self._wrapper is not None and task.__call__ is self._wrapper:
            task.__call__ = task._why504_call
            del task._why504_call
        self._wrapper = None


def _task() -> Any:
    module = sys.modules.get("starlette.background")
    return None if module is None else module.BackgroundTask
