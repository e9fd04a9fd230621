"""Messages from RabbitMQ: consumed in a thread, processed in the worker's loop.

A message is the worker's until it is settled on the connection that brought it. When that is lost
the broker delivers it again, so what is still in hand then is only forgotten.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Self

import pika
from pika.channel import Channel
from pika.spec import Basic

from service.application.settings import Settings
from service.infrastructure.messaging.broker_thread import BrokerThread
from service.infrastructure.messaging.metrics import ConsumerMetrics
from service.infrastructure.messaging.parameters import connection_parameters
from service.infrastructure.messaging.publisher import Outgoing, Publisher
from service.infrastructure.messaging.topology import topology

REASON: Final = "set_aside_reason"

log = logging.getLogger(__name__)


class RabbitSource:
    """The port `MessageSource` on the queue of the settings."""

    def __init__(self, settings: Settings, *, metrics: ConsumerMetrics) -> None:
        self._topology = topology(settings)
        self._prefetch = settings.worker_concurrency
        self._metrics = metrics
        self._arrived: asyncio.Queue[_RabbitDelivery] = asyncio.Queue()
        self._loop: asyncio.AbstractEventLoop | None = None
        # Of its own: while an alarm is up, acknowledgements behind a publish would not be read.
        self._dead_letters = Publisher(settings, metrics=metrics.publisher)
        self._thread = BrokerThread(
            connection_parameters(settings), self._topology, self, metrics=metrics.connection
        )
        self._channel: Channel | None = None

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._dead_letters.__enter__()
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        # Both wait for their threads, so the loop must not.
        await asyncio.gather(
            asyncio.to_thread(self._thread.stop),
            asyncio.to_thread(self._dead_letters.__exit__),
        )

    async def next(self) -> _RabbitDelivery:
        """Return the next message of the connection that is open now."""
        while True:
            delivery = await self._arrived.get()
            if delivery.channel is self._channel:
                return delivery

    def opened(self, channel: Channel) -> None:
        """Consume; called in the broker's thread, like all of these."""
        self._channel = channel
        channel.add_on_cancel_callback(lambda _: self._thread.drop("the queue was deleted"))
        channel.basic_qos(prefetch_count=self._prefetch, callback=lambda _: consume())

        def consume() -> None:
            channel.basic_consume(
                self._topology.queue,
                self._deliver,
                callback=lambda _: self._thread.healthy(),
            )

    def lost(self) -> None:
        """What was in hand comes again."""
        self._channel = None

    def _deliver(
        self,
        channel: Channel,
        method: Basic.Deliver,
        properties: pika.BasicProperties,
        body: bytes,
    ) -> None:
        if method.redelivered:
            self._metrics.redelivered.inc()
        delivery = _RabbitDelivery(self, channel, method.delivery_tag, properties, body)
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._arrived.put_nowait, delivery)

    def settle(self, channel: Channel, answer: Callable[[], None]) -> None:
        """Answer the broker, if the connection that brought the message is still there."""

        def in_thread() -> None:
            if channel.is_open:
                answer()

        self._thread.call_soon(in_thread)

    async def bury(self, letter: Outgoing) -> bool:
        """Return whether the dead letter is with the broker for certain."""
        kept = await self._dead_letters.publish([letter], queue=self._topology.dead_letters)
        return letter.key in kept


@dataclass(frozen=True, slots=True)
class _RabbitDelivery:
    """The port `Delivery`."""

    source: RabbitSource
    channel: Channel
    tag: int
    properties: pika.BasicProperties
    body: bytes = field(repr=False)

    @property
    def message_id(self) -> str:
        """The same at every delivery; empty if whoever sent it gave it none."""
        return self.properties.message_id or ""

    @property
    def headers(self) -> Mapping[str, Any]:
        """What its sender attached."""
        return self.properties.headers or {}

    @property
    def sent_at(self) -> datetime | None:
        """To the microsecond if the relay sent it, else to the second."""
        try:
            told = datetime.fromisoformat(str(self.headers.get("sent_at")))
            return told if told.tzinfo else None
        except ValueError:
            seconds = self.properties.timestamp
        try:
            return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
        except (OverflowError, OSError, ValueError):
            return None

    async def ack(self) -> None:
        """Forget it."""
        self.source.settle(self.channel, partial(self.channel.basic_ack, self.tag))

    async def requeue(self) -> None:
        """Put it back to where it was in the queue; the broker counts this."""
        self.source.settle(self.channel, partial(self.channel.basic_nack, self.tag))

    async def set_aside(self, reason: str) -> None:
        """Move it to the dead letters; while they can't be reached it goes back instead."""
        headers = {**self.headers, REASON: reason}
        letter = Outgoing(
            key=self.message_id or f"unnamed-{id(self)}",
            topic=self.properties.type or "",
            body=self.body,
            sent_at=self.sent_at or datetime.now(UTC),
            headers=headers,
        )
        if await self.source.bury(letter):
            await self.ack()
        else:
            await self.requeue()
