"""A publisher that can't publish."""

from __future__ import annotations

from service.application.ports.unit_of_work import UnitOfWork
from service.domain.conversation import ConversationEnded


class BrokenPublisher:
    async def publish(self, event: ConversationEnded, work: UnitOfWork) -> None:
        raise ConnectionError("no broker")
