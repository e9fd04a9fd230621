"""Requests in flight, sampled or not, by a pure ASGI middleware inside OpenTelemetry's.

`scope["route"]` gives `http.route` live; the inner mark follows a request into the task in which
Starlette's BaseHTTPMiddleware runs the rest of the application.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from opentelemetry.trace import SpanKind

from why504 import names
from why504.probe.clock import Clock
from why504.probe.exposed.metrics import Metrics
from why504.probe.givenback import give_back
from why504.probe.inflight import REQUEST, OpenSpan, Registry, nothing
from why504.probe.lean.current import span_context
from why504.probe.lean.served import OVER, SERVED, Served
from why504.probe.safety import Guard
from why504.probe.telling.dropped import Dropped

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
_SERVER_ERROR: Final = 500
_WATCHED: Final = frozenset({"http", "websocket"})
App = Callable[[Scope, Receive, Send], Awaitable[None]]


_HEARD: Final = "why504.heard"
"""Key of the scope under which an answer is heard of where somebody else makes the spans."""


def is_answered(scope: Scope | None) -> bool:
    """Return whether an answer has begun: a stream that lasts for hours does not hang."""
    if scope is None:
        return False
    heard = scope.get(SERVED) or scope.get(_HEARD)
    return heard is not None and heard.status > 0


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
        """Return the entry of a request or websocket; None for what is neither, or not traced."""
        try:
            self._on_scope(scope)
            # A SpanContext is a tuple, and read as one here: each name of it is a call.
            _, span_id, _, _, _, known = context = span_context()
            if scope["type"] not in _WATCHED or not known:
                return None
            entry = self._registry.spans.get(span_id)
            if entry is None:
                entry = OpenSpan.dropped(context, SpanKind.SERVER)
                self._registry.open(entry)
            entry.scope = scope
            return entry
        except Exception as error:
            if not self._begin.swallows(error):
                raise
            return None

    def end(self, entry: OpenSpan, heard: Served | Heard) -> None:
        """Close the entry and measure it if it is a request.

        Args:
            entry: of the request.
            heard: what was answered; the span says already what there is to say if it is ours.
        """
        status = heard.status
        try:
            if not entry.is_request:
                if entry.span is None:
                    self._registry.close(entry.span_id)
                return
            if entry.span is None:
                self._registry.close(entry.span_id)
                self._tell_dropped(entry, status)
            elif heard.__class__ is Heard:
                self._speak_new_names(entry, status)
            seconds = self._clock.monotonic_s() - entry.opened_s
            self._metrics.request_ended(entry, heard.route or entry.route(), status, seconds)
        except Exception as error:
            if not self._end.swallows(error):
                raise
        finally:
            # A task that it began may go on for hours, and has the entry in its context.
            entry.scope = OVER

    def answered(self, entry: OpenSpan, status: int) -> None:
        """Note that an answer begins whose span somebody else makes, who may end it with it."""
        with self._end:
            self._speak_new_names(entry, status)

    def _tell_dropped(self, entry: OpenSpan, status: int) -> None:
        if self._dropped.is_long(entry):
            told = {names.HTTP_STATUS: status} if status else {}
            error = f"HTTP {status}" if status >= _SERVER_ERROR else None
            self._dropped.tell(entry, told, error)

    def _speak_new_names(self, entry: OpenSpan, status: int) -> None:
        # Whoever makes the spans may use the old HTTP names, and has a reason to.
        span: Any = entry.span
        if span is None or not span.is_recording() or names.HTTP_METHOD in (span.attributes or {}):
            return
        span.set_attribute(names.HTTP_METHOD, entry.method())
        span.set_attribute(names.HTTP_ROUTE, entry.route())
        if status:
            span.set_attribute(names.HTTP_STATUS, status)

    def mark(self, scope: Scope) -> Callable[[], None]:
        """Note that the running task works for the current request; return how to undo it.

        `scope` is what the router sees, and where it leaves the route; others may have copied it.
        """
        entry = REQUEST.get()
        served: Served | None = scope.get(SERVED)
        if served is not None:
            served.scope = scope
        if entry is None or entry.span_id not in self._registry.spans:
            return nothing
        if entry.scope is not None:
            entry.scope = scope
        return self._registry.enter(entry)


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
        served: Served | None = scope.get(SERVED)
        heard = scope.setdefault(_HEARD, Heard()) if served is None else served
        token = REQUEST.set(entry)
        try:
            noted = send if served is not None else self._noting(send, heard, entry)
            await self.app(scope, receive, noted)
        except BaseException as error:
            # Before ServerErrorMiddleware, which is outside of this, answers and the span ends.
            if served is not None:
                served.failed(error)
            raise
        finally:
            self._watch.end(entry, heard)
            give_back(REQUEST, token)

    def _noting(self, send: Send, heard: Heard | Served, entry: OpenSpan) -> Send:
        async def noting_send(message: Message) -> None:
            status = message.get("status")
            if message.get("type") == "http.response.start" and isinstance(status, int):
                heard.status = int(status)  # it may be an `HTTPStatus`
                self._watch.answered(entry, heard.status)
            await send(message)

        return noting_send


class Heard:
    """What is known of an answer where somebody else makes the server spans."""

    status = 0
    route = ""


class TaskMark:
    """Innermost of the application's middlewares: runs in the task that runs the endpoint."""

    def __init__(self, app: App, watch: RequestWatch) -> None:
        self.app = app
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, its task known to belong to the request."""
        unmark = self._watch.mark(scope)
        try:
            await self.app(scope, receive, send)
        finally:
            unmark()
