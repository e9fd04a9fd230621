"""Publishers that talk to RabbitMQ inside the request and inside its open transaction.

Real life: the first example of pika's documentation, pasted into an endpoint. pika's defaults are
those of production: 15 s for the whole handshake, no limit on a blocked connection.
"""

from __future__ import annotations

import asyncio
import json

import pika
from pika.adapters.blocking_connection import BlockingChannel

from service.application.ports.unit_of_work import UnitOfWork
from service.domain.conversation import ConversationEnded

QUEUE = "conversation.ended"


class BlockingPublisher:
    """Calls pika straight from `async def`: while the broker is silent, so is the event loop."""

    def __init__(self, broker_url: str) -> None:
        self._broker_url = broker_url

    async def publish(self, event: ConversationEnded, work: UnitOfWork) -> None:
        """Send the event; returns when the broker has it."""
        self.send(event)

    def send(self, event: ConversationEnded) -> None:
        """Send the event; returns when the broker has it."""
        connection = pika.BlockingConnection(pika.URLParameters(self._broker_url))
        try:
            channel = connection.channel()
            self._prepare(channel)
            body = json.dumps(event.payload()).encode()
            channel.basic_publish(exchange="", routing_key=QUEUE, body=body)
        finally:
            connection.close()

    def _prepare(self, channel: BlockingChannel) -> None:
        channel.queue_declare(queue=QUEUE, durable=True)


class ThreadedPublisher(BlockingPublisher):
    """The usual mend: pika moved to a thread, and the transaction still open around it.

    The event loop is free, but every request that waits for the broker keeps its connection to
    the database, until the pool has none left.
    """

    async def publish(self, event: ConversationEnded, work: UnitOfWork) -> None:
        """Send the event from a worker thread; returns when the broker has it."""
        await asyncio.to_thread(self.send, event)


class ConfirmingPublisher(ThreadedPublisher):
    """Waits until the broker confirms, so that no event is lost; pika has no limit for that.

    A broker under a memory or disk alarm takes connections and confirms nothing until it is over.
    """

    def _prepare(self, channel: BlockingChannel) -> None:
        super()._prepare(channel)
        channel.confirm_delivery()
