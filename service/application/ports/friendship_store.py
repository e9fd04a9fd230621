"""Friendship statuses, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from service.domain.friendship import FriendshipStatus


class FriendshipStore(Protocol):
    """Where each user stands."""

    async def read(self, user_id: str) -> FriendshipStatus | None:
        """Return the status as of now without locking it, or None for a new user."""

    async def lock(self, user_id: str) -> FriendshipStatus:
        """Return the status, made if the user is new, locked until the transaction ends."""

    async def save(self, status: FriendshipStatus) -> None:
        """Write score, level and topic metrics of a status that this transaction has locked."""

    async def users(self, *, after: str, limit: int) -> Sequence[str]:
        """Return the first `limit` users behind `after` in order of id, with a status or not yet.

        Every user is known by a status or by a conversation; "" comes before all.
        """

    async def count_users(self, *, most: int) -> int:
        """Return how many users there are, `most` if there are more."""

    async def count_suggestion(self, user_id: str) -> None:
        """Add one to the user's suggestions."""
