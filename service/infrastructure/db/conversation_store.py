"""Conversation events in PostgreSQL."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from service.domain.conversation import Conversation, Message, Speaker, StoredEvent
from service.infrastructure.db.tables import conversation_event as events

_EVENT: Final = (
    events.c.id,
    events.c.conversation_id,
    events.c.requested_id,
    events.c.user_id,
    events.c.body_hash,
    events.c.ended_at,
)


class SqlConversationStore:
    """The table `conversation_event`."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find(self, requested_id: str, body_hash: str) -> StoredEvent | None:
        """Return the event under this id: the one with this body if any, else the first."""
        query = (
            select(*_EVENT)
            # A client may ask for an id that was given to another's event as a suffixed one.
            .where(
                or_(events.c.requested_id == requested_id, events.c.conversation_id == requested_id)
            )
            .order_by((events.c.body_hash == body_hash).desc(), events.c.id)
            .limit(1)
        )
        row = (await self._session.execute(query)).one_or_none()
        return None if row is None else _event(row)

    async def add(
        self, conversation: Conversation, *, stored_id: str, ended_at: datetime
    ) -> StoredEvent | None:
        """Store it, or return None if somebody else took the id or stored this body meanwhile."""
        statement = (
            insert(events)
            .values(
                conversation_id=stored_id,
                requested_id=conversation.conversation_id,
                user_id=conversation.user_id,
                log=[message.plain() for message in conversation.log],
                body_hash=conversation.body_hash,
                ended_at=ended_at,
                created_at=func.now(),
            )
            .on_conflict_do_nothing()
            .returning(*_EVENT)
        )
        row = (await self._session.execute(statement)).one_or_none()
        return None if row is None else _event(row)

    async def read(self, stored_id: str) -> tuple[str, tuple[Message, ...]] | None:
        """Return (user id, log) of the event stored under this id, or None."""
        query = select(events.c.user_id, events.c.log).where(events.c.conversation_id == stored_id)
        row = (await self._session.execute(query)).one_or_none()
        if row is None:
            return None
        log = tuple(Message(Speaker(entry["speaker"]), entry["text"]) for entry in row.log)
        return row.user_id, log


def _event(row: Row[Any]) -> StoredEvent:
    return StoredEvent(
        event_id=row.id,
        conversation_id=row.conversation_id,
        requested_id=row.requested_id,
        user_id=row.user_id,
        body_hash=row.body_hash,
        ended_at=row.ended_at,
    )
