"""The transactional outbox in PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry import propagate
from sqlalchemy import func, insert
from sqlalchemy.ext.asyncio import AsyncSession

from service.infrastructure.db.tables import outbox


class SqlOutboxStore:
    """The table `outbox`; a row without `sent_at` waits for the relay."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, topic: str, payload: Mapping[str, Any]) -> None:
        """Keep a message; it exists exactly if the transaction commits."""
        # The relay sends it later, from another process: the trace must be stored to go on there.
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        await self._session.execute(
            insert(outbox).values(
                topic=topic,
                payload=dict(payload),
                created_at=func.now(),
                traceparent=carrier.get("traceparent"),
            )
        )
