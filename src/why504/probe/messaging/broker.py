"""Spans of pika's blocking client: connecting, which stock instrumentation omits, and publishing.

An unreachable broker blocks `pika.BlockingConnection(...)` for as long as its parameters allow; one
that is low on memory or disk takes no messages, and says so with `connection.blocked`.
"""

from __future__ import annotations

import functools
import sys
import weakref
from contextvars import ContextVar
from typing import Any, Final

from opentelemetry.trace import Span, SpanKind
from opentelemetry.util.types import AttributeValue

from why504 import names
from why504.probe.givenback import give_back
from why504.probe.kit import Patches
from why504.probe.safety import Guard
from why504.probe.spans.calls import Calls
from why504.probe.spans.spanned import spanned

_PUBLISHING: Final[ContextVar[Span | None]] = ContextVar("why504_pika", default=None)


class Broker:
    """Wraps pika once the application has imported it; never imports it itself."""

    def __init__(self, guard: Guard, calls: Calls) -> None:
        self._guard = guard.site("pika")
        self._calls = calls
        self._patches = Patches()
        self._blocked: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
        """Connections that the broker takes nothing from, and why."""

    def attach(self) -> None:
        """Wrap pika if it is imported by now; does nothing the second time."""
        module = sys.modules.get("pika.adapters.blocking_connection")
        connection = getattr(module, "BlockingConnection", None)
        channel = getattr(module, "BlockingChannel", None)
        if self._patches or connection is None or channel is None:
            return
        self._patches.wrap(connection, "__init__", self._connects)
        self._patches.wrap(channel, "basic_publish", self._publishes)

    def detach(self) -> None:
        """Give pika its own methods back."""
        self._patches.undo()

    def _connects(self, init: Any) -> Any:
        connects = spanned(init, self._connect_span, self._guard)

        @functools.wraps(init)
        def made(connection: Any, *args: Any, **options: Any) -> None:
            connects(connection, *args, **options)
            with self._guard:
                self._listen(connection._impl)

        return made

    def _listen(self, connection: Any) -> None:
        # Heard while pika waits for a confirmation, in the very call that publishes.
        def blocked(_: Any, frame: Any) -> None:
            with self._guard:
                self._blocked[connection] = reason = reason_of(frame.method)
                span = _PUBLISHING.get()
                if span is not None:
                    span.set_attribute(names.BROKER_CONNECTION_BLOCKED, reason)

        def unblocked(_: Any, __: Any) -> None:
            self._blocked.pop(connection, None)

        connection.add_on_connection_blocked_callback(blocked)
        connection.add_on_connection_unblocked_callback(unblocked)

    def _publishes(self, publish: Any) -> Any:
        traced = spanned(publish, self._publish_span, self._guard)

        @functools.wraps(publish)
        def publishes(*args: Any, **options: Any) -> Any:
            token = _PUBLISHING.set(None)
            try:
                return traced(*args, **options)
            finally:
                give_back(_PUBLISHING, token)

        return publishes

    def _connect_span(self, connection: Any, parameters: Any = None, *args: Any, **kw: Any) -> Span:
        told: dict[str, AttributeValue] = {names.MESSAGING_SYSTEM: "rabbitmq"}
        return self._calls.begin("connect rabbitmq", {**told, **_server(parameters)})

    def _publish_span(self, channel: Any, exchange: str = "", *args: Any, **kwargs: Any) -> Span:
        routing_key = args[0] if args else kwargs.get("routing_key", "")
        connection = getattr(channel.connection, "_impl", None)
        server = _server(getattr(connection, "params", None))
        told = publishing(exchange, routing_key, server)
        reason = self._blocked.get(connection)
        if reason is not None:
            told[names.BROKER_CONNECTION_BLOCKED] = reason
        span = self._calls.begin(f"publish {exchange or '(default)'}", told, SpanKind.PRODUCER)
        _PUBLISHING.set(span)
        return span


def publishing(
    exchange: str, routing_key: object, server: dict[str, AttributeValue]
) -> dict[str, AttributeValue]:
    """Return what the span of publishing a message tells."""
    return {
        names.MESSAGING_SYSTEM: "rabbitmq",
        "messaging.operation.name": "publish",
        "messaging.operation.type": "send",
        "messaging.destination.name": ":".join(p for p in (exchange, str(routing_key)) if p),
        **server,
    }


def reason_of(frame: Any) -> str:
    """Return why a broker takes nothing: `low on memory`."""
    reason = getattr(frame, "reason", "") or "blocked"
    return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)


def _server(parameters: Any) -> dict[str, AttributeValue]:
    """Return address and port of pika parameters; of several, the first, which is tried first."""
    if isinstance(parameters, (list, tuple)) and parameters:
        parameters = parameters[0]
    host, port = getattr(parameters, "host", None), getattr(parameters, "port", None)
    found: dict[str, AttributeValue] = {}
    if isinstance(host, str):
        found[names.SERVER_ADDRESS] = host
    if isinstance(port, int):
        found[names.SERVER_PORT] = port
    return found
