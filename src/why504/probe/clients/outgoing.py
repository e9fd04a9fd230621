"""Spans of outgoing HTTP calls, one an attempt: httpx, and with it most clients of LLMs.

A client that tries again inside itself looks like one long call from outside.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from opentelemetry.trace import Span

from why504.probe.clients.httpcalls import answered, attempt, limit
from why504.probe.kit import Patches
from why504.probe.safety import Guard
from why504.probe.spans.calls import Calls
from why504.probe.spans.spanned import in_a_trace, spanned, spanned_async, told_by_stock

_RESENT: Final = "x-stainless-retry-count"
"""How often the clients of OpenAI, Groq and Anthropic have sent a request before."""
_CLIENTS: Final = ("httpx", "httpx2")


class Outgoing:
    """Wraps httpx once the application has imported it; never imports it itself."""

    def __init__(self, guard: Guard, calls: Calls) -> None:
        self._guard = guard.site("httpx")
        self._calls = calls
        self._patches = {name: Patches() for name in _CLIENTS}

    def attach(self) -> None:
        """Wrap httpx if it is imported by now; does nothing the second time."""
        for name, patches in self._patches.items():
            module = sys.modules.get(name)
            asynchronous = getattr(module, "AsyncClient", None)
            if patches or module is None or asynchronous is None:
                continue
            patches.wrap(module.Client, "send", self._traced)
            patches.wrap(asynchronous, "send", self._traced_async)

    def detach(self) -> None:
        """Give httpx its own methods back."""
        for patches in self._patches.values():
            patches.undo()

    def _traced(self, send: Any) -> Any:
        return spanned(send, self._begin, self._guard, _end)

    def _traced_async(self, send: Any) -> Any:
        return spanned_async(send, self._begin, self._guard, _end)

    def _begin(self, client: Any, request: Any, **_: Any) -> Span | None:
        # Outside a trace it is nobody's request: exporters and pollers call, too.
        if not in_a_trace() or told_by_stock("httpx", client):
            return None
        url = request.url
        port = url.port or {"http": 80, "https": 443}.get(url.scheme)
        found = attempt(request.method, url.host, port, url.path)
        # Of its four limits this is the one that bounds how long an answer may take to begin.
        timeout = request.extensions.get("timeout")
        if isinstance(timeout, dict):
            found |= limit(timeout.get("read"))
        resent = request.headers.get(_RESENT, "")
        if resent.isdigit() and int(resent):
            found["http.request.resend_count"] = int(resent)
        return self._calls.begin(str(request.method), found)


def _end(span: Span, response: Any) -> None:
    answered(span, int(response.status_code), response.headers.get("retry-after"))
