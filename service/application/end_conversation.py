"""Store a finished conversation once, however often it is sent, and tell the worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from service.application.errors import StoreBusy
from service.application.ports.clock import Clock
from service.application.ports.event_publisher import EventPublisher
from service.application.ports.unit_of_work import BeginWork, UnitOfWork
from service.domain.conversation import (
    Conversation,
    ConversationEnded,
    StoredEvent,
    suffixed_id,
    transcript_of,
)

LOOKUPS: Final = 3
"""Lookups at most: each further one follows a race that another request won."""


@dataclass(frozen=True, slots=True)
class EndedConversation:
    """The event, and whether this call was the one that stored it."""

    event: StoredEvent
    created: bool


@dataclass(frozen=True, slots=True)
class EndConversation:
    """`POST /v1/conversations/end`."""

    begin_work: BeginWork
    publisher: EventPublisher
    now: Clock

    async def __call__(self, conversation: Conversation) -> EndedConversation:
        """Return the stored event; the same id and body always give the same one.

        Raises:
            StoreBusy: three other requests in a row took every id that was tried.
            Unavailable: the store is, see its port.
        """
        async with self.begin_work() as work:
            ended = await self._find_or_add(work, conversation)
            if ended.created:
                await self.publisher.publish(_told(ended.event, conversation), work)
                await work.commit()
        return ended

    async def _find_or_add(self, work: UnitOfWork, conversation: Conversation) -> EndedConversation:
        body_hash = conversation.body_hash
        ended_at = conversation.ended_at or self.now()
        stored_id = conversation.conversation_id
        for _ in range(LOOKUPS):
            found = await work.conversations.find(conversation.conversation_id, body_hash)
            if found is not None and found.body_hash == body_hash:
                return EndedConversation(found, created=False)
            if found is not None:
                stored_id = suffixed_id(conversation.conversation_id, self.now())
            added = await work.conversations.add(
                conversation, stored_id=stored_id, ended_at=ended_at
            )
            if added is not None:
                return EndedConversation(added, created=True)
        raise StoreBusy("the conversation's id is being taken by other requests")


def _told(event: StoredEvent, conversation: Conversation) -> ConversationEnded:
    return ConversationEnded(
        event_id=event.event_id,
        conversation_id=event.conversation_id,
        user_id=event.user_id,
        ended_at=event.ended_at,
        transcript=transcript_of(conversation.log),
    )
