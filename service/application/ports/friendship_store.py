"""Friendship statuses, in one transaction."""

from __future__ import annotations

from typing import Protocol

from service.domain.friendship import FriendshipStatus


class FriendshipStore(Protocol):
    """Where each user stands."""

    async def read(self, user_id: str) -> FriendshipStatus | None:
        """Return the status as of now without locking it, or None for a new user."""

    async def lock(self, user_id: str) -> FriendshipStatus:
        """Return the status, made if the user is new, locked until the transaction ends."""

    async def count_suggestion(self, user_id: str) -> None:
        """Add one to the user's suggestions."""
