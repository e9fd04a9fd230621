"""A span that is the current one in a `with` block, or while a function that it decorates runs.

What OpenTelemetry's SDK makes of two generators and fifteen calls, and libraries ask for most.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from contextvars import Token
from types import TracebackType
from typing import Any, NamedTuple

from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.util.types import Attributes

from why504.probe.lean.current import attach, current_context, detach, within


class Asked(NamedTuple):
    """What `Tracer.start_as_current_span` was asked for."""

    name: str
    context: Context | None = None
    kind: SpanKind = SpanKind.INTERNAL
    attributes: Attributes = None
    links: Sequence[Link] | None = ()
    start_time: int | None = None
    record_exception: bool = True
    set_status_on_exception: bool = True
    end_on_exit: bool = True


class ScopedSpan(AbstractContextManager[Span]):
    """Begins a span when its block begins; entered once, as OpenTelemetry's is."""

    __slots__ = ("_asked", "_span", "_token", "_tracer")

    _span: Span
    _token: Token[Context]

    def __init__(self, tracer: Tracer, asked: Asked) -> None:
        self._tracer = tracer
        self._asked = asked

    def __enter__(self) -> Span:
        """Begin the span; it is the current one from now on."""
        # All that was asked for but the last, which is for the end of the block.
        self._span = span = self._tracer.start_span(*self._asked[:-1])
        self._token = attach(within(span, current_context()))
        return span

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Make the span before it the current one; end it, unless that is left to the caller."""
        detach(self._token)
        try:
            # What is no Exception is no error either: somebody left, or was cancelled.
            if isinstance(error, Exception):
                self._failed(error)
        finally:
            if self._asked.end_on_exit:
                self._span.end()

    def _failed(self, error: Exception) -> None:
        span, asked = self._span, self._asked
        if not span.is_recording():
            return
        if asked.record_exception:
            span.record_exception(error)
        if asked.set_status_on_exception:
            span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function inside a span of its own each time; asynchronous ones too."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                with ScopedSpan(self._tracer, self._asked):
                    return await function(*args, **kwargs)

            return awaited

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            with ScopedSpan(self._tracer, self._asked):
                return function(*args, **kwargs)

        return called
