"""Spans of RabbitMQ's asynchronous client, aiormq, and of aio-pika on top of it.

A robust connection that has lost its broker lets who publishes wait until it is back: such a wait
is a part of publishing.
"""

from __future__ import annotations

import functools
import sys
import weakref
from contextvars import ContextVar
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind
from opentelemetry.util.types import AttributeValue

from why504 import names
from why504.probe.givenback import give_back
from why504.probe.kit import Kit, Patches
from why504.probe.messaging.broker import publishing, reason_of
from why504.probe.spans.spanned import spanned_async, told_by_stock

_PUBLISHING: Final[ContextVar[Span | None]] = ContextVar("why504_aiormq", default=None)


class AioBroker:
    """Wraps aiormq and aio-pika once the application has imported them; never imports them."""

    def __init__(self, kit: Kit) -> None:
        self._calls = kit.calls
        self._guard = kit.guard.site("aiormq")
        self._patches = Patches()
        self._on_top = Patches()
        self._blocked: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
        """Connections that the broker takes nothing from, and why."""
        self._publishers: weakref.WeakKeyDictionary[Any, dict[int, Span]]
        self._publishers = weakref.WeakKeyDictionary()
        """Connection -> spans of those who publish on it now."""

    def attach(self) -> None:
        """Wrap what is imported by now; does nothing the second time."""
        connection = getattr(sys.modules.get("aiormq.connection"), "Connection", None)
        channel = getattr(sys.modules.get("aiormq.channel"), "Channel", None)
        if not self._patches and connection is not None and channel is not None:
            self._patches.wrap(
                connection, "connect", lambda f: spanned_async(f, self._connect, self._guard)
            )
            self._patches.wrap(channel, "basic_publish", self._sends)
            handler = "_Connection__handle_connection_{}blocked"
            self._patches.wrap(connection, handler.format(""), self._blocks)
            self._patches.wrap(connection, handler.format("un"), self._unblocks)
        exchange = getattr(sys.modules.get("aio_pika.exchange"), "Exchange", None)
        if not self._on_top and exchange is not None:
            self._on_top.wrap(exchange, "publish", self._publishes)

    def detach(self) -> None:
        """Give both their own methods back."""
        self._patches.undo()
        self._on_top.undo()

    def _connect(self, connection: Any, *_: Any, **__: Any) -> Span | None:
        return self._calls.begin("connect rabbitmq", _server(connection))

    def _publishes(self, publish: Any) -> Any:
        def begin(
            exchange: Any, message: Any = None, routing_key: Any = "", **_: Any
        ) -> Span | None:
            return self._begin(exchange.name, routing_key, {})

        return self._noted(spanned_async(publish, begin, self._guard, self._over))

    def _sends(self, send: Any) -> Any:
        def begin(channel: Any, *_: Any, **told: Any) -> Span | None:
            if _PUBLISHING.get() is not None:
                return None
            exchange, key = told.get("exchange", ""), told.get("routing_key", "")
            return self._begin(exchange, key, _server(channel.connection))

        inner = spanned_async(self._watching(send), begin, self._guard, self._over)
        return self._noted(inner)

    def _watching(self, send: Any) -> Any:
        """Return a function that sends, and is told if its connection is blocked meanwhile."""

        @functools.wraps(send)
        async def watching(channel: Any, *args: Any, **options: Any) -> Any:
            span, connection = _PUBLISHING.get(), getattr(channel, "connection", None)
            if span is None or connection is None:
                return await send(channel, *args, **options)
            with self._guard:
                for key, value in _server(connection).items():
                    span.set_attribute(key, value)
                if connection in self._blocked:
                    reason = self._blocked[connection]
                    span.set_attribute(names.BROKER_CONNECTION_BLOCKED, reason)
            mine = self._publishers.setdefault(connection, {})
            mine[id(span)] = span
            try:
                return await send(channel, *args, **options)
            finally:
                mine.pop(id(span), None)

        return watching

    def _begin(
        self, exchange: str, routing_key: object, server: dict[str, AttributeValue]
    ) -> Span | None:
        if told_by_stock("aio-pika"):
            span = trace.get_current_span()
            _PUBLISHING.set(span)
            return None
        told = publishing(exchange, routing_key, server)
        span = self._calls.begin(f"publish {exchange or '(default)'}", told, SpanKind.PRODUCER)
        _PUBLISHING.set(span)
        return span

    def _over(self, span: Span, _result: Any) -> None:
        span.end()

    def _noted(self, publish: Any) -> Any:
        """Return a function that publishes, and forgets its span at the end, whatever that is."""

        @functools.wraps(publish)
        async def noted(*args: Any, **options: Any) -> Any:
            token = _PUBLISHING.set(_PUBLISHING.get())
            try:
                return await publish(*args, **options)
            finally:
                give_back(_PUBLISHING, token)

        return noted

    def _blocks(self, handle: Any) -> Any:
        @functools.wraps(handle)
        async def blocks(connection: Any, frame: Any) -> None:
            with self._guard:
                self._blocked[connection] = reason = reason_of(frame)
                for span in list(self._publishers.get(connection, {}).values()):
                    span.set_attribute(names.BROKER_CONNECTION_BLOCKED, reason)
            await handle(connection, frame)

        return blocks

    def _unblocks(self, handle: Any) -> Any:
        @functools.wraps(handle)
        async def unblocks(connection: Any, frame: Any) -> None:
            self._blocked.pop(connection, None)
            await handle(connection, frame)

        return unblocks


def _server(connection: Any) -> dict[str, AttributeValue]:
    """Return address and port of a connection; its URL has the password in it."""
    found: dict[str, AttributeValue] = {names.MESSAGING_SYSTEM: "rabbitmq"}
    url = getattr(connection, "url", None)
    host, port = getattr(url, "host", None), getattr(url, "port", None)
    if host:
        found[names.SERVER_ADDRESS] = str(host)
    if isinstance(port, int):
        found[names.SERVER_PORT] = port
    return found
