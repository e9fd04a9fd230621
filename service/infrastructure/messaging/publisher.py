"""Publishes batches to RabbitMQ and says which messages it has for certain.

pika has no deadline for a confirm: https://github.com/pika/pika/issues/708. Here a batch has one,
and a broker that misses it, refuses a message or can't route it loses its connection.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Self

import pika
from pika.channel import Channel
from pika.exceptions import AMQPError
from pika.spec import Basic

from service.application.settings import Settings
from service.infrastructure.messaging.broker_thread import FAREWELL_S, BrokerThread
from service.infrastructure.messaging.metrics import BacklogMetrics, PublisherMetrics
from service.infrastructure.messaging.parameters import connection_parameters
from service.infrastructure.messaging.topology import topology

DEPTH_EVERY_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to be sent; `key` is how the caller knows it."""

    key: str
    """Unique, and the message's id for consumers."""
    topic: str
    body: bytes
    sent_at: datetime
    headers: Mapping[str, Any] = field(default_factory=dict)

    def properties(self) -> pika.BasicProperties:
        """Return what goes with it: persistent, and with its time to the microsecond."""
        return pika.BasicProperties(
            content_type="application/json",
            delivery_mode=pika.DeliveryMode.Persistent,
            message_id=self.key,
            type=self.topic,
            timestamp=int(self.sent_at.timestamp()),
            headers={**self.headers, "sent_at": self.sent_at.isoformat()},
        )


class Publisher:
    """One publisher on a connection and a thread of its own; batches go one after another."""

    def __init__(
        self,
        settings: Settings,
        *,
        metrics: PublisherMetrics,
        backlog: BacklogMetrics | None = None,
    ) -> None:
        self._topology = topology(settings)
        self._deadline_s = settings.limits.broker_s
        self._metrics = metrics
        self._backlog = backlog
        self._channel: Channel | None = None
        self._batch: _Batch | None = None
        self._last_tag = 0
        # A second batch would take the first one's confirms: it was sent, and nobody would know.
        self._turn = asyncio.Lock()
        self._thread = BrokerThread(
            connection_parameters(settings), self._topology, self, metrics=metrics.connection
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.stop()

    @property
    def ready(self) -> bool:
        """Whether a batch would be sent now."""
        return self._channel is not None and not self._thread.blocked

    async def publish(self, messages: Sequence[Outgoing], *, queue: str) -> frozenset[str]:
        """Return the keys of what the broker has on disk, at the latest `broker_s` after its turn.

        The others may have arrived or not; with any of them the connection is given up, so that
        the next batch finds a fresh one or none.
        """
        async with self._turn:
            return await self._publish(messages, queue)

    def opened(self, channel: Channel) -> None:
        """Ask for confirms before anything is sent."""

        def confirming(_: object) -> None:
            self._channel, self._last_tag = channel, 0
            if self._backlog is not None:
                self._look_at_queues(channel, self._backlog)

        channel.add_on_return_callback(self._returned)
        channel.confirm_delivery(self._settled, callback=confirming)

    def lost(self) -> None:
        """Nothing more will be confirmed."""
        self._channel = None
        self._finish()

    async def _publish(self, messages: Sequence[Outgoing], queue: str) -> frozenset[str]:
        answer: Future[frozenset[str]] = Future()
        if not self._thread.call_soon(lambda: self._begin(messages, queue, answer)):
            return frozenset()
        # If the thread ended just now, nobody is there to answer.
        limit_s = None if self._deadline_s is None else self._deadline_s + 2 * FAREWELL_S
        try:
            return await asyncio.wait_for(asyncio.wrap_future(answer), limit_s)
        except TimeoutError:
            return frozenset()

    def _begin(
        self, messages: Sequence[Outgoing], queue: str, answer: Future[frozenset[str]]
    ) -> None:
        if not answer.set_running_or_notify_cancel():
            return
        if self._channel is None or self._thread.blocked:
            answer.set_result(frozenset())
            return
        batch = self._batch = _Batch(answer, time.monotonic())
        if self._deadline_s is not None:
            batch.call_off = self._thread.call_later(self._deadline_s, self._too_late)
        try:
            for message in messages:
                self._last_tag += 1
                batch.waiting[self._last_tag] = message.key
                self._channel.basic_publish(
                    "", queue, message.body, message.properties(), mandatory=True
                )
        except AMQPError as error:
            self._thread.drop(f"it can't be published to: {error!r}")

    def _settled(self, frame: Any) -> None:
        batch, said = self._batch, frame.method
        if batch is None:
            return
        keys = batch.settle(said.delivery_tag, multiple=said.multiple)
        took_s = time.monotonic() - batch.began_s
        for _ in keys:
            self._metrics.confirm_s.observe(took_s)
        if isinstance(said, Basic.Ack):
            # What can't be routed is returned first, and then confirmed as well.
            batch.confirmed.update(key for key in keys if key not in batch.returned)
            self._thread.healthy()
        else:
            batch.nacked += len(keys)
        if not batch.waiting:
            self._finish()

    def _returned(self, *returned: Any) -> None:
        *_, properties, _ = returned
        if self._batch is not None:
            self._batch.returned.add(properties.message_id)

    def _too_late(self) -> None:
        # What is known is told now; the farewell to a frozen broker takes longer.
        self._finish()

    def _finish(self) -> None:
        batch, self._batch = self._batch, None
        if batch is None:
            return
        counts = batch.counts()
        for outcome, count in counts.items():
            self._metrics.sent(outcome, count)
        wrong = {outcome: count for outcome, count in counts.items() if outcome != "confirmed"}
        if any(wrong.values()):
            # Before the answer: the caller's next batch must not go out on this connection.
            self._channel = None
            self._thread.drop(f"not every message was confirmed: {wrong}")
        else:
            batch.call_off()
        batch.answer.set_result(frozenset(batch.confirmed))

    def _look_at_queues(self, channel: Channel, backlog: BacklogMetrics) -> None:
        """Ask for the depth of each queue, one after another, now and every DEPTH_EVERY_S."""
        names = list(self._topology.queues())

        def ask(index: int) -> None:
            if not channel.is_open:
                return
            if index == len(names):
                self._thread.call_later(DEPTH_EVERY_S, lambda: ask(0))
                return

            def tell(frame: Any) -> None:
                backlog.queue(names[index], frame.method.message_count)
                ask(index + 1)

            channel.queue_declare(names[index], passive=True, callback=tell)

        ask(0)


@dataclass(slots=True)
class _Batch:
    """What was sent and not answered yet, by delivery tag."""

    answer: Future[frozenset[str]]
    began_s: float
    waiting: dict[int, str] = field(default_factory=dict)
    confirmed: set[str] = field(default_factory=set)
    returned: set[str] = field(default_factory=set)
    nacked: int = 0
    call_off: Callable[[], None] = lambda: None

    def counts(self) -> dict[str, int]:
        """Return how many messages met each of metrics.SENT."""
        return {
            "confirmed": len(self.confirmed),
            "nacked": self.nacked,
            "returned": len(self.returned),
            "unconfirmed": len(self.waiting),
        }

    def settle(self, tag: int, *, multiple: bool) -> list[str]:
        """Return the keys that an answer is about; they no longer wait."""
        tags = [t for t in self.waiting if t <= tag] if multiple else [tag]
        return [self.waiting.pop(t) for t in tags if t in self.waiting]
