"""Spans of pika's blocking client: connecting, which stock instrumentation omits, and publishing.

An unreachable broker blocks `pika.BlockingConnection(...)` for as long as its parameters allow.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from opentelemetry.trace import Span, SpanKind
from opentelemetry.util.types import AttributeValue

from why504 import names
from why504.probe.calls import Calls
from why504.probe.database import fail_span
from why504.probe.safety import Guard


class Broker:
    """Wraps pika once the application has imported it; never imports it itself."""

    def __init__(self, guard: Guard, calls: Calls) -> None:
        self._guard = guard.site("pika")
        self._calls = calls
        self._undo: list[Callable[[], None]] = []
        self.attached = False

    def attach(self) -> None:
        """Wrap pika if it is imported by now; does nothing the second time."""
        module = sys.modules.get("pika.adapters.blocking_connection")
        connection = getattr(module, "BlockingConnection", None)
        channel = getattr(module, "BlockingChannel", None)
        if self.attached or connection is None or channel is None:
            return
        self.attached = True
        self._wrap(connection, "__init__", self._connect_span)
        self._wrap(channel, "basic_publish", self._publish_span)

    def detach(self) -> None:
        """Give pika its own methods back."""
        while self._undo:
            self._undo.pop()()
        self.attached = False

    def _wrap(self, owner: Any, name: str, start: Callable[..., Span]) -> None:
        original = getattr(owner, name)

        @functools.wraps(original)
        def traced(*args: Any, **kwargs: Any) -> Any:
            span = None
            with self._guard:
                span = start(*args, **kwargs)
            try:
                result = original(*args, **kwargs)
            except BaseException as error:
                if span is not None:
                    with self._guard:
                        fail_span(span, error)
                raise
            if span is not None:
                span.end()
            return result

        setattr(owner, name, traced)
        self._undo.append(lambda: setattr(owner, name, original))

    def _connect_span(self, connection: Any, parameters: Any = None, *args: Any, **kw: Any) -> Span:
        told: dict[str, AttributeValue] = {names.MESSAGING_SYSTEM: "rabbitmq"}
        return self._calls.begin("connect rabbitmq", {**told, **_server(parameters)})

    def _publish_span(self, channel: Any, exchange: str = "", *args: Any, **kwargs: Any) -> Span:
        routing_key = args[0] if args else kwargs.get("routing_key", "")
        parameters = getattr(getattr(channel.connection, "_impl", None), "params", None)
        attributes: dict[str, AttributeValue] = {
            names.MESSAGING_SYSTEM: "rabbitmq",
            "messaging.operation.name": "publish",
            "messaging.operation.type": "send",
            "messaging.destination.name": ":".join(p for p in (exchange, str(routing_key)) if p),
            **_server(parameters),
        }
        name = f"publish {exchange or '(default)'}"
        return self._calls.begin(name, attributes, SpanKind.PRODUCER)


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
