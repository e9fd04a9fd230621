"""The transactional outbox in PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, insert
from sqlalchemy.ext.asyncio import AsyncSession

from service.infrastructure.db.tables import outbox


class SqlOutboxStore:
    """The table `outbox`; a row without `sent_at` waits for the relay."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, topic: str, payload: Mapping[str, Any]) -> None:
        """Keep a message; it exists exactly if the transaction commits."""
        await self._session.execute(
            insert(outbox).values(topic=topic, payload=dict(payload), created_at=func.now())
        )
