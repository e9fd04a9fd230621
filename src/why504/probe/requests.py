"""Requests in flight, sampled or not, by a pure ASGI middleware inside OpenTelemetry's.

`scope["route"]` gives `http.route` live; the inner mark follows a request into the task in which
Starlette's BaseHTTPMiddleware runs the rest of the application.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.trace import SpanKind

from why504 import names
from why504.probe.clock import Clock
from why504.probe.dropped import Dropped
from why504.probe.inflight import REQUEST, OpenSpan, Registry
from why504.probe.metrics import Metrics
from why504.probe.safety import Guard

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
_SERVER_ERROR: Final = 500
ANSWERED: Final = "why504.answered"
"""Key of a scope whose answer has begun: a stream that lasts for hours does not hang."""
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class RequestWatch:
    """Opens and closes the entry of each request; starts the probe in the process that serves."""

    def __init__(
        self,
        registry: Registry,
        metrics: Metrics,
        *,
        clock: Clock,
        guard: Guard,
        dropped: Dropped,
        on_scope: Callable[[Scope], None],
    ) -> None:
        self._registry = registry
        self._metrics = metrics
        self._clock = clock
        self._dropped = dropped
        self._on_scope = on_scope
        self._begin = guard.site("request begin")
        self._end = guard.site("request end")

    def begin(self, scope: Scope) -> OpenSpan | None:
        """Return the request's entry; None for what is no traced HTTP request."""
        entry = None
        with self._begin:
            self._on_scope(scope)
            span = trace.get_current_span()
            context = span.get_span_context()
            if scope["type"] == "http" and context.is_valid:
                entry = self._registry.spans.get(context.span_id)
                if entry is None:
                    entry = OpenSpan(context.trace_id, context.span_id, None)
                    entry.kind = SpanKind.SERVER
                    entry.scope = scope
                    self._registry.open(entry)
                entry.scope = scope
        return entry

    def end(self, entry: OpenSpan, status: int) -> None:
        """Close the entry and measure the request; `status` 0 = nothing was answered."""
        with self._end:
            if entry.span is None:
                self._registry.close(entry.span_id)
                self._tell_dropped(entry, status)
            elif names.HTTP_METHOD not in (entry.span.attributes or {}):
                self._speak_new_names(entry, status)
            seconds = self._clock.monotonic_s() - entry.opened_s
            self._metrics.request_ended(entry, status, seconds)

    def _tell_dropped(self, entry: OpenSpan, status: int) -> None:
        if self._dropped.is_long(entry):
            told = {names.HTTP_STATUS: status} if status else {}
            error = f"HTTP {status}" if status >= _SERVER_ERROR else None
            self._dropped.tell(entry, told, error)

    def _speak_new_names(self, entry: OpenSpan, status: int) -> None:
        # Another instrumentor chose the old HTTP names before we could opt in to the new ones.
        span = trace.get_current_span()
        span.set_attribute(names.HTTP_METHOD, entry.method())
        span.set_attribute(names.HTTP_ROUTE, entry.route())
        if status:
            span.set_attribute(names.HTTP_STATUS, status)

    def mark(self) -> Callable[[], None]:
        """Note that the running task works for the current request; return how to undo it."""
        entry = REQUEST.get()
        if entry is None or entry.span_id not in self._registry.spans:
            return _nothing
        before = self._registry.enter(entry)
        return lambda: self._registry.leave(entry, before)


def _nothing() -> None:
    return None


class RequestMiddleware:
    """Outermost of the application's middlewares, so that time spent in them counts."""

    def __init__(self, app: App, watch: RequestWatch) -> None:
        self.app = app
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, noting it while it lasts."""
        entry = self._watch.begin(scope)
        if entry is None:
            await self.app(scope, receive, send)
            return
        status = 0

        async def noting_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                scope[ANSWERED] = True
            await send(message)

        token = REQUEST.set(entry)
        try:
            await self.app(scope, receive, noting_send)
        finally:
            REQUEST.reset(token)
            self._watch.end(entry, status)


class TaskMark:
    """Innermost of the application's middlewares: runs in the task that runs the endpoint."""

    def __init__(self, app: App, watch: RequestWatch) -> None:
        self.app = app
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, its task known to belong to the request."""
        unmark = self._watch.mark()
        try:
            await self.app(scope, receive, send)
        finally:
            unmark()
