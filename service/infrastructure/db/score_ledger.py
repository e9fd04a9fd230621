"""The score ledger in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from service.domain.friendship import LedgerEntry
from service.domain.ledger import LedgerTotals
from service.infrastructure.db.tables import conversation_event as events
from service.infrastructure.db.tables import conversation_score as scores


class SqlScoreLedger:
    """The table `conversation_score`."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find(self, conversation_id: str) -> LedgerEntry | None:
        """Return what this conversation brought, or None if it was never scored."""
        query = select(
            scores.c.conversation_id,
            scores.c.user_id,
            scores.c.points,
            scores.c.topic,
            scores.c.emotion,
            scores.c.questions,
            scores.c.fallback,
        ).where(scores.c.conversation_id == conversation_id)
        row = (await self._session.execute(query)).one_or_none()
        return None if row is None else LedgerEntry(*row)

    async def totals(self, user_id: str, *, without: str | None = None) -> LedgerTotals:
        """Return the sum of the user's entries but for the conversation `without`."""
        query = (
            select(scores.c.topic, func.count(), func.sum(scores.c.points))
            .where(scores.c.user_id == user_id)
            .group_by(scores.c.topic)
        )
        if without is not None:
            query = query.where(scores.c.conversation_id != without)
        found = (await self._session.execute(query)).all()
        return LedgerTotals(
            sum(points for _, _, points in found), {topic: count for topic, count, _ in found}
        )

    async def unread(self, user_id: str) -> Sequence[str]:
        """Return the user's conversations without an entry or with a fallback, oldest first."""
        query = (
            select(events.c.conversation_id)
            .outerjoin(scores, scores.c.conversation_id == events.c.conversation_id)
            .where(
                events.c.user_id == user_id,
                or_(scores.c.conversation_id.is_(None), scores.c.fallback),
            )
            .order_by(events.c.ended_at, events.c.id)
        )
        return (await self._session.scalars(query)).all()

    async def put(self, entry: LedgerEntry) -> None:
        """Store the entry in place of an earlier one of the same conversation."""
        values = {
            "user_id": entry.user_id,
            "points": entry.points,
            "topic": entry.topic,
            "emotion": entry.emotion,
            "questions": entry.questions,
            "fallback": entry.fallback,
            "scored_at": func.now(),
        }
        await self._session.execute(
            insert(scores)
            .values(conversation_id=entry.conversation_id, **values)
            .on_conflict_do_update(index_elements=[scores.c.conversation_id], set_=values)
        )
