"""Friendship statuses in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from service.domain.conversation import Message, StoredEvent
from service.domain.friendship import FriendshipStatus


class FakeFriendshipStore:
    def __init__(
        self,
        statuses: dict[str, FriendshipStatus],
        events: list[tuple[StoredEvent, tuple[Message, ...]]],
    ) -> None:
        self._statuses = statuses
        self._events = events

    async def read(self, user_id: str) -> FriendshipStatus | None:
        return self._statuses.get(user_id)

    async def lock(self, user_id: str) -> FriendshipStatus:
        return self._statuses.setdefault(user_id, FriendshipStatus(user_id))

    async def count_suggestion(self, user_id: str) -> None:
        if user_id in self._statuses:
            status = self._statuses[user_id]
            self._statuses[user_id] = replace(status, suggestions=status.suggestions + 1)

    async def save(self, status: FriendshipStatus) -> None:
        if status.user_id in self._statuses:
            stored = self._statuses[status.user_id]
            self._statuses[status.user_id] = replace(
                stored, score=status.score, topic_metrics=dict(status.topic_metrics)
            )

    async def users(self, *, after: str, limit: int) -> Sequence[str]:
        users = {*self._statuses, *(event.user_id for event, _ in self._events)}
        return sorted(user for user in users if user > after)[:limit]

    async def count_users(self, *, most: int) -> int:
        return len(await self.users(after="", limit=most))
