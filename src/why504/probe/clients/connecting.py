"""Connecting for an outgoing HTTP call: DNS, TCP, TLS, each as a span inside the span of the call.

A call that hangs there is no slow answer. Only what takes place is told: a connection that is kept
alive needs none of it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import sys
from contextvars import ContextVar, Token
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span

from why504 import names
from why504.probe.clients.database import fail_span
from why504.probe.clients.httpcalls import limit, of_the_call_around, server
from why504.probe.givenback import give_back
from why504.probe.kit import Kit, Patches
from why504.probe.lean.current import attach, leave
from why504.probe.safety import GuardedSite
from why504.probe.spans.calls import Calls
from why504.probe.spans.spanned import spanned, spanned_async

_CONNECTS: Final[ContextVar[bool]] = ContextVar("why504_connects", default=False)
"""Whether the caller connects for a call that is watched: whose names are looked up is told."""


class Connecting:
    """Hears of the steps of one request: httpcore's `trace` extension calls it."""

    def __init__(self, calls: Calls, guard: GuardedSite, theirs: Any) -> None:
        self._calls = calls
        self._guard = guard
        self._theirs = theirs
        self._open: dict[str, tuple[Span, Token[Context], Token[bool]]] = {}

    def heard(self, event: str, info: dict[str, Any]) -> Any:
        """Take one event, and pass it on to whom the application has told to listen."""
        self._take(event, info)
        return None if self._theirs is None else self._theirs(event, info)

    async def heard_async(self, event: str, info: dict[str, Any]) -> None:
        """Do the same where it is awaited."""
        self._take(event, info)
        if self._theirs is not None:
            await self._theirs(event, info)

    def _take(self, event: str, info: dict[str, Any]) -> None:
        step, _, phase = event.rpartition(".")
        name = _STEPS.get(step.rpartition(".")[2])
        if name is None:
            return
        with self._guard:
            if phase == "started":
                self._begin(step, name, info)
            elif step in self._open:
                span, context, connects = self._open.pop(step)
                give_back(_CONNECTS, connects)
                leave(context)
                error = info.get("exception")
                if isinstance(error, BaseException):
                    fail_span(span, error)
                else:
                    span.end()

    def _begin(self, step: str, name: str, info: dict[str, Any]) -> None:
        host = info.get("host") or info.get("server_hostname") or info.get("path") or ""
        span = begin(self._calls, name, host, info.get("port"), info.get("timeout"))
        context = attach(trace.set_span_in_context(span))
        self._open[step] = span, context, _CONNECTS.set(name == "connect")


_STEPS: Final = {"connect_tcp": "connect", "connect_unix_socket": "connect", "start_tls": "tls"}


def begin(calls: Calls, name: str, host: object, port: object, limit_s: object) -> Span:
    """Return the span of a step of connecting; `limit_s` may be None for no limit."""
    told = {**of_the_call_around(), **server(_text(host), port), **limit(limit_s)}
    return calls.begin(name, told)


class Names:
    """Tells how long names take to be looked up while a call connects."""

    def __init__(self, kit: Kit) -> None:
        self._calls = kit.calls
        self._guard = kit.guard.site("names")
        self._patches = Patches()
        self._in_anyio = Patches()

    def attach(self) -> None:
        """Wrap what looks names up, once; anyio's once the application has imported it."""
        if not self._patches:
            self._patches.wrap(socket, "getaddrinfo", lambda f: spanned(f, self._asks, self._guard))
            # A loop looks them up in a thread, which knows nothing of the call.
            self._patches.wrap(
                asyncio.base_events.BaseEventLoop,
                "getaddrinfo",
                lambda f: spanned_async(f, lambda _, *a, **k: self._asks(*a, **k), self._guard),
            )
        module = sys.modules.get("anyio._core._sockets")
        if not self._in_anyio and hasattr(module, "getaddrinfo"):
            self._in_anyio.wrap(
                module, "getaddrinfo", lambda f: spanned_async(f, self._asks, self._guard)
            )

    def detach(self) -> None:
        """Give all methods back."""
        self._patches.undo()
        self._in_anyio.undo()

    def _asks(self, host: Any = None, *_: Any, **__: Any) -> Span | None:
        if not _CONNECTS.get() or not host or _is_address(_text(host)):
            return None
        # Whoever is asked below asks nobody else that is to be told.
        _CONNECTS.set(False)
        told = {names.DNS_NAME: _text(host), names.SERVER_ADDRESS: _text(host)}
        return self._calls.begin("dns", {**of_the_call_around(), **told})


def connects() -> Token[bool]:
    """Note that the caller connects from now on."""
    return _CONNECTS.set(True)


def connected(token: Token[bool]) -> None:
    """Note that it does so no more."""
    give_back(_CONNECTS, token)


def _text(host: object) -> str:
    return host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
