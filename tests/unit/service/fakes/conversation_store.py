"""Conversation events in memory."""

from __future__ import annotations

from datetime import datetime

from service.domain.conversation import Conversation, Message, StoredEvent


class FakeConversationStore:
    def __init__(self, events: list[tuple[StoredEvent, tuple[Message, ...]]]) -> None:
        self._events = events

    async def find(self, requested_id: str, body_hash: str) -> StoredEvent | None:
        found = [
            event
            for event, _ in self._events
            if requested_id in (event.requested_id, event.conversation_id)
        ]
        found.sort(key=lambda event: (event.body_hash != body_hash, event.event_id))
        return found[0] if found else None

    async def add(
        self, conversation: Conversation, *, stored_id: str, ended_at: datetime
    ) -> StoredEvent | None:
        body = (conversation.conversation_id, conversation.body_hash)
        for event, _ in self._events:
            taken = (event.requested_id, event.body_hash)
            if event.conversation_id == stored_id or taken == body:
                return None
        added = StoredEvent(
            event_id=len(self._events) + 1,
            conversation_id=stored_id,
            requested_id=conversation.conversation_id,
            user_id=conversation.user_id,
            body_hash=conversation.body_hash,
            ended_at=ended_at,
        )
        self._events.append((added, conversation.log))
        return added

    async def read(self, stored_id: str) -> tuple[str, tuple[Message, ...]] | None:
        for event, log in self._events:
            if event.conversation_id == stored_id:
                return event.user_id, log
        return None
