"""Messages that took effect, in PostgreSQL."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from service.infrastructure.db.tables import processed_message as processed


class SqlInbox:
    """The table `processed_message`."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def knows(self, message_id: str) -> bool:
        """Return whether the message took effect already."""
        query = select(processed.c.message_id).where(processed.c.message_id == message_id)
        return await self._session.scalar(query) is not None

    async def add(self, message_id: str) -> bool:
        """Note it; False if it is noted already, then the caller must not repeat its effect.

        While another transaction is noting the same message, this waits for its end.
        """
        statement = (
            insert(processed)
            .values(message_id=message_id, processed_at=func.now())
            .on_conflict_do_nothing()
            .returning(processed.c.message_id)
        )
        return await self._session.scalar(statement) is not None
