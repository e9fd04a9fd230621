"""Exchanges and queues, as one table; whoever connects first makes them.

A message that was delivered too often, or that nobody can read, goes to the dead letters.
https://www.rabbitmq.com/docs/quorum-queues#dead-lettering
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pika.channel import Channel

from service.application.settings import Settings


@dataclass(frozen=True, slots=True)
class Topology:
    """The queue, its dead letters, and how often a message is tried."""

    queue: str
    deliveries: int

    @property
    def dead_letters(self) -> str:
        """Name of the queue of dead letters."""
        return f"{self.queue}.dead"

    def queues(self) -> Mapping[str, Mapping[str, Any]]:
        """Return every queue with its arguments."""
        return {
            self.dead_letters: {"x-queue-type": "quorum"},
            self.queue: {
                "x-queue-type": "quorum",
                # RabbitMQ counts what follows the first delivery.
                "x-delivery-limit": self.deliveries - 1,
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": self.dead_letters,
                # A dead letter leaves only once the other queue has it; needs the overflow below.
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            },
        }

    def declare(self, channel: Channel, *, then: Callable[[], None]) -> None:
        """Declare all of it, one after another, then call `then`; a refusal closes the channel."""
        left = list(self.queues().items())

        def one_more(_: object = None) -> None:
            if not left:
                then()
                return
            name, arguments = left.pop(0)
            channel.queue_declare(name, durable=True, arguments=arguments, callback=one_more)

        one_more()


def topology(settings: Settings) -> Topology:
    """Return the topology of this deployment."""
    return Topology(settings.queue, settings.delivery_limit)
