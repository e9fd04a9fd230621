"""Messages that took effect, so that a second delivery has none."""

from __future__ import annotations

from typing import Protocol


class Inbox(Protocol):
    """Ids of messages, in the transaction of their effect."""

    async def knows(self, message_id: str) -> bool:
        """Return whether the message took effect already."""

    async def add(self, message_id: str) -> bool:
        """Note it; False if it is noted already, then the caller must not repeat its effect."""
