"""Server spans of an ASGI application: one a request or websocket, ended with the last byte sent.

Works on any tracer provider; on the lean one it costs a tenth of what OpenTelemetry's own does.
"""

from __future__ import annotations

import struct
import traceback
from binascii import unhexlify
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import Token
from functools import lru_cache
from typing import Any, Final, Self

from opentelemetry import propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from why504 import names
from why504.probe.app.route import route_of
from why504.probe.lean.current import attach, current_context, leave, within
from why504.probe.lean.excluded import address_of, excluded_urls
from why504.probe.lean.http import OTHER, known_method, request_attributes
from why504.probe.lean.span import NO_STATE, LeanSpan
from why504.probe.safety import Guard

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SERVED: Final = "why504.served"
"""Key of the scope under which what serves it is found by whoever is further inside."""
_FASTAPI: Final = "fastapi.telemetry"
_SERVER_ERROR: Final = 500
_LOWEST: Final = 100
_MOST_FRAMES: Final = 50
OVER: Final[Scope] = {}
"""Of what has been served."""
_WATCHED: Final = frozenset({"http", "websocket"})
_SUPPRESSED: Final = (
    "suppress_instrumentation",
    "suppress_http_instrumentation",
    _SUPPRESS_INSTRUMENTATION_KEY,
)


class Served:
    """One request while it is served, and its span."""

    __slots__ = ("_trailers", "named", "route", "scope", "span", "status")

    def __init__(self, span: Span, named: str, scope: Scope) -> None:
        self.span = span
        self.scope = scope
        """The innermost known: somebody may have served a copy."""
        self.named = named
        self.status = 0
        """What was answered; 0 = nothing yet."""
        self.route = ""
        """What served it, once it is over."""
        self._trailers = False

    def __deepcopy__(self, _: object) -> Self:
        # Applications copy scopes; a request is one, and what makes its span has locks.
        return self

    def hears(self, message: Message) -> bool:
        """Note what is about to be sent; return whether it is the last message."""
        kind = message.get("type")
        if kind == "http.response.body":
            return not self._trailers and not message.get("more_body", False)
        if kind == "http.response.start":
            self._trailers = message.get("trailers", False)
            told = message.get("status")
            if isinstance(told, int):  # else the server says so
                self._answers(int(told))  # it may be an `HTTPStatus`
            return False
        if kind == "websocket.send":
            self._answers(200)
            return False
        if kind == "http.response.trailers":
            return not message.get("more_trailers", False)
        return bool(kind == "http.response.pathsend")

    def _answers(self, status: int) -> None:
        span, self.status = self.span, status
        if span.__class__ is LeanSpan:
            span.set_plain(names.HTTP_STATUS, status)
        else:
            span.set_attribute(names.HTTP_STATUS, status)
        if status >= _SERVER_ERROR or status < _LOWEST:
            span.set_attribute(names.ERROR_TYPE, str(status))
            span.set_status(Status(StatusCode.ERROR))

    def failed(self, error: BaseException) -> None:
        """Note an exception that nobody in the application caught.

        Not with what it says: PostgreSQL quotes the whole row in it, and clients what they sent.
        """
        span, kind = self.span, type(error)
        if span.is_recording():
            known = kind.__module__ == "builtins"
            told = {
                "exception.type": kind.__qualname__
                if known
                else f"{kind.__module__}.{kind.__qualname__}",
                "exception.stacktrace": _frames(error),
                "exception.escaped": "False",
            }
            span.add_event("exception", told)
            span.set_status(Status(StatusCode.ERROR, kind.__name__))

    def end(self) -> None:
        """End the span, named after the route by now."""
        span = self.span
        if not span.is_recording():
            return
        route = self.route = route_of(self.scope)
        if route:
            if span.__class__ is LeanSpan:
                span.set_plain(names.HTTP_ROUTE, route)
            else:
                span.set_attribute(names.HTTP_ROUTE, route)
            if getattr(span, "name", self.named) == self.named:
                span.update_name(f"{self.named} {route}")
        span.end()


def _frames(error: BaseException) -> str:
    """Return where an exception was, the innermost last; no source, which has values in it."""
    walked = deque(traceback.walk_tb(error.__traceback__), maxlen=_MOST_FRAMES)
    return "\n".join(
        f'File "{frame.f_code.co_filename}", line {line}, in {frame.f_code.co_qualname}'
        for frame, line in walked
    )


class ServerSpans:
    """Makes the server spans of whatever it is put around.

    Args:
        app: what serves.
        tracer: makes the spans.
        guard: swallows and counts what goes wrong in here.
    """

    def __init__(self, app: App, tracer: Tracer, guard: Guard) -> None:
        self._serve = app
        self._tracer = tracer
        self._excluded = excluded_urls()
        self._begins = guard.site("server span begin")
        self._hears = guard.site("server span")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, under a span where it is to have one."""
        begun = self._begin(scope) if scope["type"] in _WATCHED else None
        if begun is None:
            await self._serve(scope, receive, send)
            return
        served, token = begun

        async def noting_send(message: Message) -> None:
            is_last = False
            try:
                is_last = served.hears(message)
            except Exception as error:
                if not self._hears.swallows(error):
                    raise
            await send(message)
            if is_last:
                self._end(served)

        try:
            await self._serve(scope, receive, noting_send)
        except BaseException as error:
            with self._hears:
                served.failed(error)
            raise
        finally:
            self._end(served)
            # The scope has what serves it: apart, both go at once, not with the garbage.
            served.scope = OVER
            leave(token)

    def _end(self, served: Served) -> None:
        try:
            served.end()
        except Exception as error:
            if not self._hears.swallows(error):
                raise

    def _begin(self, scope: Scope) -> tuple[Served, Token[Context]] | None:
        try:
            current = current_context()
            if self._is_excluded(scope, current):
                return None
            agent, carried = b"", b""
            for name, value in scope.get("headers") or ():
                if name == b"user-agent":
                    agent = agent or value
                elif name in _CARRIERS:
                    carried = value if name == b"traceparent" and not carried else _SEVERAL
            around, kind = _parent(scope, current, carried)
            method = known_method(scope.get("method", ""))
            named = "HTTP" if method == OTHER else method
            told = request_attributes(scope, agent)
            span = self._tracer.start_span(named, around, kind, told)
            token = attach(within(span, around))
        except Exception as error:
            if not self._begins.swallows(error):
                raise
            return None
        # FastAPI's own telemetry leaves a request alone that has this: a mounted application's.
        scope.setdefault(_FASTAPI, None)
        served = scope[SERVED] = Served(span, named, scope)
        return served, token

    def _is_excluded(self, scope: Scope, current: Context) -> bool:
        if current and any(current.get(key) for key in _SUPPRESSED):
            return True
        # FastAPI's own telemetry has made one, for a provider that it was given.
        if getattr(scope.get(_FASTAPI), "span", None) is not None:
            return True
        return self._excluded is not None and bool(self._excluded.search(address_of(scope)))


_CARRIERS: Final = frozenset({b"traceparent", b"tracestate", b"baggage"})


_SEVERAL: Final = b"several"


def _parent(scope: Scope, current: Context, carried: bytes) -> tuple[Context, SpanKind]:
    """Return the context that a request comes with; within another span it is a part of that.

    Args:
        scope: of the request.
        current: the context that it is served in.
        carried: its `traceparent`, where that is all that it carries; `_SEVERAL` if it is not.
    """
    if current and trace.get_current_span() is not trace.INVALID_SPAN:
        return current, SpanKind.INTERNAL
    propagator = propagate.get_global_textmap()
    if _is_plain(propagator):
        if not carried:
            return current, SpanKind.SERVER
        if _reads_parents(propagator) and (theirs := _plainly_told(carried)):
            return within(NonRecordingSpan(theirs), current), SpanKind.SERVER
    return propagate.extract(scope, current, getter=_HEADERS), SpanKind.SERVER


def _plainly_told(traceparent: bytes) -> SpanContext | None:
    """Return the parent as a header of today's version tells it; None of any other header."""
    try:
        version, trace_hex, dash, span_hex, last_dash, flags_hex = _parts_of(traceparent)
        trace_id, span_id = (
            int.from_bytes(unhexlify(trace_hex)),
            int.from_bytes(unhexlify(span_hex)),
        )
        (flags,) = unhexlify(flags_hex)
    except (ValueError, struct.error):
        return None
    if (
        version + dash + last_dash != b"00---"
        or not (trace_id and span_id)
        or traceparent != traceparent.lower()
    ):
        return None
    # Made as the tuple that it is: what the class would check holds for so many hex digits.
    told = (trace_id, span_id, True, TraceFlags(flags), NO_STATE, True)
    return tuple.__new__(SpanContext, told)


_parts_of: Final = struct.Struct("3s32sc16sc2s").unpack
_PLAIN: Final = frozenset({TraceContextTextMapPropagator, W3CBaggagePropagator})


@lru_cache(maxsize=4)
def _is_plain(propagator: object) -> bool:
    """Return whether nothing but W3C's headers is read: without them there is nothing to read."""
    parts = getattr(propagator, "_propagators", None)
    return isinstance(propagator, CompositePropagator) and _PLAIN.issuperset(map(type, parts or ()))


@lru_cache(maxsize=4)
def _reads_parents(propagator: object) -> bool:
    """Return whether W3C's `traceparent` is read: `OTEL_PROPAGATORS=none` wants no parents."""
    parts = getattr(propagator, "_propagators", None) or ()
    return any(type(part) is TraceContextTextMapPropagator for part in parts)


class _Headers(Getter[Scope]):
    """Reads the headers of a scope."""

    def get(self, carrier: Scope, key: str) -> list[str] | None:
        """Return all values of a header."""
        wanted = key.lower().encode("latin-1")
        found = [v.decode("latin-1") for k, v in carrier.get("headers") or () if k == wanted]
        return found or None

    def keys(self, carrier: Scope) -> list[str]:
        """Return the names of all headers."""
        return [name.decode("latin-1") for name, _ in carrier.get("headers") or ()]


_HEADERS: Final = _Headers()
