"""Publishing without a broker in the request: the event is a row of the outbox."""

from __future__ import annotations

from typing import Final

from service.application.ports.unit_of_work import UnitOfWork
from service.domain.conversation import ConversationEnded

TOPIC: Final = "conversation.ended"


class OutboxPublisher:
    """Stores the event beside the conversation; a relay sends it when the broker is there."""

    async def publish(self, event: ConversationEnded, work: UnitOfWork) -> None:
        """Keep the event in the transaction of what it tells."""
        await work.outbox.add(TOPIC, event.payload())
