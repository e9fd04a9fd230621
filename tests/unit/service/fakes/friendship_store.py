"""Friendship statuses in memory."""

from __future__ import annotations

from dataclasses import replace

from service.domain.friendship import FriendshipStatus


class FakeFriendshipStore:
    def __init__(self, statuses: dict[str, FriendshipStatus]) -> None:
        self._statuses = statuses

    async def read(self, user_id: str) -> FriendshipStatus | None:
        return self._statuses.get(user_id)

    async def lock(self, user_id: str) -> FriendshipStatus:
        return self._statuses.setdefault(user_id, FriendshipStatus(user_id))

    async def count_suggestion(self, user_id: str) -> None:
        if user_id in self._statuses:
            status = self._statuses[user_id]
            self._statuses[user_id] = replace(status, suggestions=status.suggestions + 1)
