"""The trace id of a request: on every answer, in every problem and in the request log."""

from __future__ import annotations

import re
import secrets
from typing import Final

from opentelemetry import trace
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER: Final = "X-Trace-Id"
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_MINTED: Final = "service.trace_id"


def trace_id(scope: Scope) -> str:
    """Return 32 hex digits: of the current span, else of the caller's, else made for this one."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        return trace.format_trace_id(context.trace_id)
    sent = _TRACEPARENT.fullmatch(Headers(scope=scope).get("traceparent", ""))
    minted: str = sent[1] if sent else scope.setdefault(_MINTED, secrets.token_hex(16))
    return minted


class TraceId:
    """Tells every client the id by which we find what happened to its request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        found = trace_id(scope)

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = found
            await send(message)

        await self._app(scope, receive, marked)
