"""Spans of outgoing HTTP calls, one an attempt: httpx, and with it most clients of LLMs.

A client that tries again inside itself looks like one long call from outside. Status, pause asked
for (`Retry-After`) and the limit that the client has are what tells a refusal from slowness.
Bodies, headers and query strings stay out of it.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from why504 import names
from why504.probe import site
from why504.probe.calls import Calls
from why504.probe.database import fail_span
from why504.probe.safety import Guard

_GEN_AI: Final = (names.GEN_AI_PROVIDER, names.GEN_AI_OPERATION, names.GEN_AI_MODEL)
_RESENT: Final = "x-stainless-retry-count"
"""How often the clients of OpenAI, Groq and Anthropic have sent a request before."""
_CLIENT_ERROR: Final = 400


class Outgoing:
    """Wraps httpx once the application has imported it; never imports it itself."""

    def __init__(self, guard: Guard, calls: Calls) -> None:
        self._guard = guard.site("httpx")
        self._calls = calls
        self._undo: list[Callable[[], None]] = []

    def attach(self) -> None:
        """Wrap httpx if it is imported by now; does nothing the second time."""
        httpx = sys.modules.get("httpx")
        asynchronous = getattr(httpx, "AsyncClient", None)
        if self._undo or httpx is None or asynchronous is None:
            return
        # Stock instrumentation makes the same spans.
        if "opentelemetry.instrumentation.httpx" in sys.modules:
            return
        self._wrap(httpx.Client, self._traced)
        self._wrap(asynchronous, self._traced_async)

    def detach(self) -> None:
        """Give httpx its own methods back."""
        while self._undo:
            self._undo.pop()()

    def _wrap(self, owner: Any, traced: Callable[[Any], Any]) -> None:
        original = owner.send
        owner.send = traced(original)
        self._undo.append(lambda: setattr(owner, "send", original))

    def _traced(self, send: Any) -> Any:
        @functools.wraps(send)
        def traced(client: Any, request: Any, **options: Any) -> Any:
            span = self._begin(request)
            try:
                response = send(client, request, **options)
            except BaseException as error:
                self._fail(span, error)
                raise
            self._end(span, response)
            return response

        return traced

    def _traced_async(self, send: Any) -> Any:
        @functools.wraps(send)
        async def traced(client: Any, request: Any, **options: Any) -> Any:
            span = self._begin(request)
            try:
                response = await send(client, request, **options)
            except BaseException as error:
                self._fail(span, error)
                raise
            self._end(span, response)
            return response

        return traced

    def _begin(self, request: Any) -> Span | None:
        with self._guard:
            # Outside a trace it is nobody's request: exporters and pollers call, too.
            if not trace.get_current_span().get_span_context().is_valid:
                return None
            attributes = {
                **_target(request),
                **_of_the_call_around(),
                **site.attributes_of(site.user_line(site.current_lines())),
            }
            return self._calls.begin(str(request.method), attributes)
        return None

    def _end(self, span: Span | None, response: Any) -> None:
        """End an attempt with its answer; of a streamed one, when its headers are there."""
        if span is None:
            return
        with self._guard:
            status = int(response.status_code)
            span.set_attribute(names.HTTP_STATUS, status)
            pause_s = retry_after_s(response.headers.get("retry-after"))
            if pause_s is not None:
                span.set_attribute(names.RETRY_AFTER_S, pause_s)
            if status >= _CLIENT_ERROR:
                span.set_attribute(names.ERROR_TYPE, str(status))
                span.set_status(Status(StatusCode.ERROR))
            span.end()

    def _fail(self, span: Span | None, error: BaseException) -> None:
        if span is not None:
            with self._guard:
                fail_span(span, error)


def retry_after_s(told: str | None) -> float | None:
    """Return what `Retry-After` asks for, seconds or a date; None if it is no sensible time."""
    if not told:
        return None
    try:
        return max(0.0, float(told))
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(told)
        return max(0.0, (until - until.now(until.tzinfo)).total_seconds())
    except (TypeError, ValueError):
        return None


def _target(request: Any) -> dict[str, AttributeValue]:
    url = request.url
    found: dict[str, AttributeValue] = {
        names.HTTP_METHOD: str(request.method),
        names.SERVER_ADDRESS: str(url.host),
        names.URL_PATH: str(url.path),
    }
    port = url.port or {"http": 80, "https": 443}.get(url.scheme)
    if port:
        found[names.SERVER_PORT] = port
    # Of its four limits this is the one that bounds how long an answer may take to begin.
    limit_s = (request.extensions.get("timeout") or {}).get("read")
    if limit_s is not None:
        found[names.CLIENT_TIMEOUT_S] = float(limit_s)
    resent = request.headers.get(_RESENT, "")
    if resent.isdigit() and int(resent):
        found["http.request.resend_count"] = int(resent)
    return found


def _of_the_call_around() -> dict[str, AttributeValue]:
    """Return what makes this an attempt of an LLM call: the span around it says so."""
    around: Any = trace.get_current_span()
    told = getattr(around, "attributes", None) or {}
    return {name: told[name] for name in _GEN_AI if name in told}
