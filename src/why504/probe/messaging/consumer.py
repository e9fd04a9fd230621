"""Spans of messages that pika's blocking client hands over: one a delivery, while it is worked on.

It begins with the callback and ends once the message is settled and nobody works on it any more:
a callback may hand it to a thread that acknowledges it later. A task that never returns is open.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from opentelemetry import context as otel
from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from why504 import names
from why504.probe.app.carried import WORK, nobody
from why504.probe.givenback import give_back
from why504.probe.inflight import REQUEST, Registry
from why504.probe.kit import Patches
from why504.probe.lean.current import attach, leave
from why504.probe.safety import Guard
from why504.probe.spans.calls import Calls

MOST: Final = 10_000
"""Deliveries under way that are told; of more nothing is known."""


class Delivery:
    """One message, from its callback until it is settled and nobody works on it."""

    def __init__(self, span: Span, channel: Any, *, settled: bool) -> None:
        self.channel = channel
        self._span = span
        self._settled = settled
        self._at_work = 0
        self._over = False
        self._lock = threading.Lock()

    def begins(self) -> None:
        """One more thread works on it."""
        with self._lock:
            self._at_work += 1

    def ends(self) -> None:
        """A thread is done with it."""
        with self._lock:
            self._at_work -= 1
        self.look()

    def settle(self, how: str) -> None:
        """It was acknowledged, or given back."""
        self._settled = True
        if not self._over:
            self._span.set_attribute("messaging.rabbitmq.outcome", how)
        self.look()

    def fail(self, error: BaseException) -> None:
        """Its callback raised."""
        self._span.set_attribute(names.ERROR_TYPE, type(error).__qualname__)
        self._span.set_status(Status(StatusCode.ERROR))

    def look(self) -> bool:
        """Return whether it is over; its span ends then."""
        gone = self._settled or not self.channel.is_open
        with self._lock:
            ends = gone and self._at_work <= 0 and not self._over
            self._over = self._over or ends
        if ends:
            self._span.end()
        return self._over


class Consumer:
    """Wraps pika once the application has imported it; never imports it itself."""

    def __init__(self, guard: Guard, calls: Calls, registry: Registry) -> None:
        self._guard = guard.site("pika consumer")
        self._calls = calls
        self._registry = registry
        self._deliveries: dict[tuple[int, int], Delivery] = {}
        """By id of the channel and delivery tag."""
        self._patches = Patches()

    def attach(self) -> None:
        """Wrap pika if it is imported by now; forget deliveries whose channel is gone."""
        with self._guard:
            for key in [k for k, each in self._deliveries.copy().items() if each.look()]:
                self._deliveries.pop(key, None)
        module = sys.modules.get("pika.adapters.blocking_connection")
        channel = getattr(module, "BlockingChannel", None)
        if self._patches or channel is None:
            return
        # Stock instrumentation makes the same spans.
        if "opentelemetry.instrumentation.pika" in sys.modules:
            return
        self._patches.wrap(channel, "basic_consume", self._consuming)
        self._patches.wrap(channel, "consume", self._generating)
        for name in ("basic_ack", "basic_nack", "basic_reject"):
            self._patches.wrap(channel, name, functools.partial(self._settling, name[6:]))

    def detach(self) -> None:
        """Give pika its own methods back."""
        self._patches.undo()

    def _consuming(self, consume: Any) -> Any:
        @functools.wraps(consume)
        def watched(
            channel: Any, queue: Any, on_message_callback: Any, auto_ack: bool = False, *a: Any,
            **kw: Any,
        ) -> Any:  # fmt: skip
            callback = on_message_callback
            if callable(callback):
                callback = self._called(callback, str(queue), bool(auto_ack))
            return consume(channel, queue, callback, auto_ack, *a, **kw)

        return watched

    def _called(self, callback: Any, queue: str, auto_ack: bool) -> Any:
        @functools.wraps(callback)
        def watched(channel: Any, method: Any, properties: Any, body: Any) -> Any:
            with self._delivered(channel, queue, (method, properties, body), auto_ack):
                return callback(channel, method, properties, body)

        return watched

    def _generating(self, consume: Any) -> Any:
        @functools.wraps(consume)
        def watched(channel: Any, queue: Any, auto_ack: bool = False, *a: Any, **kw: Any) -> Any:
            for message in consume(channel, queue, auto_ack, *a, **kw):
                if message[0] is None:
                    yield message  # nothing came in the time that the user gave
                    continue
                with self._delivered(channel, str(queue), message, bool(auto_ack)):
                    yield message

        return watched

    def _settling(self, how: str, settle: Any) -> Any:
        @functools.wraps(settle)
        def watched(channel: Any, delivery_tag: int = 0, *args: Any, **kwargs: Any) -> Any:
            result = settle(channel, delivery_tag, *args, **kwargs)
            with self._guard:
                several = how != "reject" and bool(kwargs.get("multiple", args[:1] == (True,)))
                self._settled(channel, delivery_tag, several, how)
            return result

        return watched

    def _settled(self, channel: Any, tag: int, several: bool, how: str) -> None:
        keys = [(id(channel), tag)]
        if several:
            known = self._deliveries.copy()
            keys = [key for key in known if key[0] == id(channel) and (key[1] <= tag or not tag)]
        for key in keys:
            delivery = self._deliveries.pop(key, None)
            if delivery is not None:
                delivery.settle(how)

    @contextmanager
    def _delivered(
        self, channel: Any, queue: str, message: tuple[Any, Any, Any], auto_ack: bool
    ) -> Iterator[None]:
        """Have a delivery open, and its span the current one, while its callback runs."""
        undo: Callable[[], None] | None = None
        delivery: Delivery | None = None
        with self._guard:
            if len(self._deliveries) < MOST:
                delivery, undo = self._begin(channel, queue, message, auto_ack)
        try:
            yield
        except Exception as error:
            if delivery is not None:
                with self._guard:
                    delivery.fail(error)
            raise
        finally:
            if undo is not None and delivery is not None:
                with self._guard:
                    try:
                        undo()
                    finally:
                        delivery.ends()

    def _begin(
        self, channel: Any, queue: str, message: tuple[Any, Any, Any], auto_ack: bool
    ) -> tuple[Delivery, Callable[[], None]]:
        method, properties, body = message
        carrier = {str(k): str(v) for k, v in (getattr(properties, "headers", None) or {}).items()}
        arrived = otel.attach(propagate.extract(carrier))
        try:
            told = _attributes(queue, method, properties, body)
            span = self._calls.begin(f"process {queue}", told, SpanKind.CONSUMER)
        finally:
            otel.detach(arrived)
        delivery = Delivery(span, channel, settled=auto_ack)
        delivery.begins()
        self._deliveries[id(channel), method.delivery_tag] = delivery
        entry = self._registry.spans.get(span.get_span_context().span_id)
        current = attach(trace.set_span_in_context(span))
        request, work = REQUEST.set(entry), WORK.set(delivery)

        def undo() -> None:
            give_back(WORK, work)
            give_back(REQUEST, request)
            leave(current)
            nobody(self._registry)

        return delivery, undo


def _attributes(queue: str, method: Any, properties: Any, body: Any) -> dict[str, AttributeValue]:
    told: dict[str, AttributeValue] = {
        names.MESSAGING_SYSTEM: "rabbitmq",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": queue,
        "messaging.rabbitmq.message.delivery_tag": int(method.delivery_tag),
    }
    routing_key = getattr(method, "routing_key", None)
    if routing_key:
        told["messaging.rabbitmq.destination.routing_key"] = str(routing_key)
    message_id = getattr(properties, "message_id", None)
    if message_id:
        told["messaging.message.id"] = str(message_id)
    if isinstance(body, bytes):
        told["messaging.message.body.size"] = len(body)
    return told
