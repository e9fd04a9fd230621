"""How the worker is told that a conversation ended."""

from __future__ import annotations

from typing import Protocol

from service.application.ports.unit_of_work import UnitOfWork
from service.domain.conversation import ConversationEnded


class EventPublisher(Protocol):
    """Hands an event over; called inside the request and inside the open transaction."""

    async def publish(self, event: ConversationEnded, work: UnitOfWork) -> None:
        """Hand it over; whatever this raises, the conversation is not stored either."""
