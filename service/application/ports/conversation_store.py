"""Finished conversations, in one transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from service.domain.conversation import Conversation, Message, StoredEvent


class ConversationStore(Protocol):
    """Where conversation events are kept; stored ids are unique."""

    async def find(self, requested_id: str, body_hash: str) -> StoredEvent | None:
        """Return the event under this id: the one with this body if any, else the first."""

    async def add(
        self, conversation: Conversation, *, stored_id: str, ended_at: datetime
    ) -> StoredEvent | None:
        """Store it, or return None if somebody else took the id or stored this body meanwhile."""

    async def read(self, stored_id: str) -> tuple[str, tuple[Message, ...]] | None:
        """Return (user id, log) of the event stored under this id, or None."""
