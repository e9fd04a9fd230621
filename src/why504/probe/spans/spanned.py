"""Methods of libraries that run inside a span of ours: it is current while they do.

So a wait for the client's own pool, or connecting, is a part of the call that needs it.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.trace import Span

from why504.probe.clients.database import fail_span
from why504.probe.lean.current import attach, leave, span_context
from why504.probe.safety import GuardedSite
from why504.probe.spans.handed import HANDED

_OURS: Final = "why504.probe."
_DEEPEST: Final = 20
"""Frames of a library, at most, between its method that is wrapped and whoever uses it."""

Begin = Callable[..., Span | None]
"""Gets the arguments of the call, returns its span, or None for a call that has none."""
Done = Callable[[Span, Any], None]
"""Gets the span and what the call returned, and ends the span."""


def _end(span: Span, _result: Any) -> None:
    span.end()


def spanned(original: Any, begin: Begin, guard: GuardedSite, done: Done = _end) -> Any:
    """Return a function that does what `original` does, inside a span."""

    @functools.wraps(original)
    def traced(*args: Any, **kwargs: Any) -> Any:
        span = None
        with guard:
            span = begin(*args, **kwargs)
        if span is None:
            return original(*args, **kwargs)
        token = attach(trace.set_span_in_context(span))
        try:
            result = original(*args, **kwargs)
        except BaseException as error:
            with guard:
                fail_span(span, error)
            raise
        finally:
            leave(token)
        with guard:
            done(span, result)
        return result

    return traced


def spanned_async(original: Any, begin: Begin, guard: GuardedSite, done: Done = _end) -> Any:
    """Return a coroutine function that does what `original` does, inside a span."""

    @functools.wraps(original)
    async def traced(*args: Any, **kwargs: Any) -> Any:
        span = None
        with guard:
            span = begin(*args, **kwargs)
        if span is None:
            return await original(*args, **kwargs)
        token = attach(trace.set_span_in_context(span))
        try:
            result = await original(*args, **kwargs)
        except BaseException as error:
            with guard:
                fail_span(span, error)
            raise
        finally:
            leave(token)
        with guard:
            done(span, result)
        return result

    return traced


_ACTIVE: Final = "_is_instrumented_by_opentelemetry"
_STOCK: Final = {
    "aio-pika": ("opentelemetry.instrumentation.aio_pika", "AioPikaInstrumentor"),
    "asyncpg": ("opentelemetry.instrumentation.asyncpg", "AsyncPGInstrumentor"),
    "httpx": ("opentelemetry.instrumentation.httpx", "HTTPXClientInstrumentor"),
    "psycopg": ("opentelemetry.instrumentation.psycopg", "PsycopgInstrumentor"),
    "redis": ("opentelemetry.instrumentation.redis", "RedisInstrumentor"),
    "requests": ("opentelemetry.instrumentation.requests", "RequestsInstrumentor"),
    "urllib3": ("opentelemetry.instrumentation.urllib3", "URLLib3Instrumentor"),
}
"""Library -> who makes the same spans of it, if it is active."""


def told_by_stock(library: str, client: object = None) -> bool:
    """Return whether stock instrumentation makes the spans of a library in this process, now.

    Of some libraries it may be asked to do so for one client only.
    """
    if getattr(client, _ACTIVE, False):
        return True
    module, name = _STOCK[library]
    kind = getattr(sys.modules.get(module), name, None)
    one = getattr(kind, "_instance", None)
    return bool(getattr(one, _ACTIVE, False))


def in_a_trace() -> bool:
    """Return whether the caller works for a request: exporters and pollers make calls, too."""
    return span_context().is_valid or HANDED.get() is not None


TELLERS: Final = ("sqlalchemy.", "opentelemetry.")
"""Modules that tell of the calls which they make to a driver."""


def callers(library: str) -> tuple[str, str]:
    """Return who called a method of a library that is wrapped: the next module, and the next one
    that is not the library's own. Coroutines count as called by whoever awaits them.
    """
    frame: FrameType | None = sys._getframe(2)
    nearest = ""
    for _ in range(_DEEPEST):
        if frame is None:
            break
        module = str(frame.f_globals.get("__name__", ""))
        if not module.startswith(_OURS):
            nearest = nearest or module
            if not module.startswith(library):
                return nearest, module
        frame = frame.f_back
    return nearest, ""
