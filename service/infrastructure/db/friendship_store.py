"""Friendship statuses in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import CompoundSelect, Executable, Select, Table, func, select, union, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from service.domain.friendship import FriendshipStatus
from service.infrastructure.db.tables import conversation_event as events
from service.infrastructure.db.tables import friendship_status as statuses

_STATUS: Final[Select[Any]] = select(
    statuses.c.user_id,
    statuses.c.score,
    statuses.c.topic_metrics,
    statuses.c.suggestions,
    statuses.c.initial_score,
    statuses.c.initial_topic_metrics,
)


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
        made = await self._first(
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
            .returning(*_STATUS.selected_columns)
        )
        # The row may come into being meanwhile; then the INSERT waits for it and gives none.
        return made or await self._first(_status_of(user_id).with_for_update()) or new

    async def count_suggestion(self, user_id: str) -> None:
        """Add one to the user's suggestions."""
        await self._session.execute(
            update(statuses)
            .where(statuses.c.user_id == user_id)
            .values(suggestions=statuses.c.suggestions + 1, updated_at=func.now())
        )

    async def save(self, status: FriendshipStatus) -> None:
        """Write score, level and topic metrics of a status that this transaction has locked."""
        await self._session.execute(
            update(statuses)
            .where(statuses.c.user_id == status.user_id)
            .values(
                score=status.score,
                level=status.level,
                topic_metrics=dict(status.topic_metrics),
                updated_at=func.now(),
            )
        )

    async def users(self, *, after: str, limit: int) -> Sequence[str]:
        """Return the first `limit` users behind `after` in order of id, known by either table."""
        known = _users(after, limit).subquery()
        users = select(known.c.user_id).order_by(known.c.user_id).limit(limit)
        return (await self._session.scalars(users)).all()

    async def count_users(self, *, most: int) -> int:
        """Return how many users there are, `most` if there are more."""
        known = _users("", most).limit(most).subquery()
        return await self._session.scalar(select(func.count()).select_from(known)) or 0

    async def _first(self, query: Executable) -> FriendshipStatus | None:
        row = (await self._session.execute(query)).one_or_none()
        return None if row is None else FriendshipStatus(*row)


def _status_of(user_id: str) -> Select[Any]:
    return _STATUS.where(statuses.c.user_id == user_id)


def _users(after: str, limit: int) -> CompoundSelect[Any]:
    """Return a query of users behind `after`, the first `limit` of them among them.

    Both tables are read in order of an index and no further than needed.
    """

    def of(table: Table) -> Select[Any]:
        behind = select(table.c.user_id).where(table.c.user_id > after)
        found = behind.distinct().order_by(table.c.user_id).limit(limit).subquery()
        return select(found.c.user_id)

    return union(of(statuses), of(events))
