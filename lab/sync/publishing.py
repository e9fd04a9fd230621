"""Ways to tell the worker of a conversation: the outbox, and pika inside the request."""

from __future__ import annotations

from collections.abc import Callable

from lab.adapters.event_publisher import BlockingPublisher
from lab.sync.store import Store
from service.domain.conversation import ConversationEnded

Publish = Callable[[ConversationEnded, Store], None]
"""Called in the transaction that stored the event."""


def into_outbox(event: ConversationEnded, store: Store) -> None:
    """Keep the message with the event; a relay sends it."""
    store.tell(event)


def in_transaction(broker_url: str) -> Publish:
    """Return a function that calls pika while the transaction is open."""
    publisher = BlockingPublisher(broker_url)
    return lambda event, _: publisher.send(event)


def after_commit(broker_url: str) -> Publish:
    """Return a function that calls pika with no connection in hand, but with a thread."""
    publisher = BlockingPublisher(broker_url)

    def publish(event: ConversationEnded, store: Store) -> None:
        store.commit()
        publisher.send(event)

    return publish
