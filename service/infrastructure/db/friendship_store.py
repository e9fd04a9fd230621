"""Friendship statuses in PostgreSQL."""

from __future__ import annotations

from sqlalchemy import Select, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from service.domain.friendship import FriendshipStatus
from service.infrastructure.db.tables import friendship_status as statuses


class SqlFriendshipStore:
    """The table `friendship_status`."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def read(self, user_id: str) -> FriendshipStatus | None:
        """Return the status as of now without locking it, or None for a new user."""
        return await self._first(_status_of(user_id))

    async def lock(self, user_id: str) -> FriendshipStatus:
        """Return the status, made if the user is new, locked until the transaction ends."""
        locked = await self._first(_status_of(user_id).with_for_update())
        if locked is not None:
            return locked
        new = FriendshipStatus(user_id)
        # The row may come into being meanwhile; then this waits for it and does nothing.
        await self._session.execute(
            insert(statuses)
            .values(
                user_id=user_id,
                score=new.score,
                level=new.level,
                topic_metrics={},
                suggestions=new.suggestions,
                updated_at=func.now(),
            )
            .on_conflict_do_nothing()
        )
        return await self._first(_status_of(user_id).with_for_update()) or new

    async def count_suggestion(self, user_id: str) -> None:
        """Add one to the user's suggestions."""
        await self._session.execute(
            update(statuses)
            .where(statuses.c.user_id == user_id)
            .values(suggestions=statuses.c.suggestions + 1, updated_at=func.now())
        )

    async def _first(
        self, query: Select[tuple[str, float, dict[str, int], int]]
    ) -> FriendshipStatus | None:
        row = (await self._session.execute(query)).one_or_none()
        return None if row is None else FriendshipStatus(*row)


def _status_of(user_id: str) -> Select[tuple[str, float, dict[str, int], int]]:
    return select(
        statuses.c.user_id, statuses.c.score, statuses.c.topic_metrics, statuses.c.suggestions
    ).where(statuses.c.user_id == user_id)
