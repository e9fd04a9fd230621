"""Moves rows of the outbox to the broker, in order, each at least once.

Rows are claimed, published and marked in one transaction: a relay that dies in between leaves them
unsent, and the next one sends them again. Consumers know a message by its id.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any, Final

import psycopg
from psycopg.rows import class_row

from service.infrastructure.db.engine import Connect
from service.infrastructure.messaging.outbox_sql import (
    MARK_SENT,
    PRUNE,
    PRUNE_INBOX,
    UNSENT,
    OutboxRow,
)
from service.infrastructure.messaging.publisher import Outgoing, Publisher

POLL_S: Final = 0.2
PRUNE_EVERY_S: Final = 60.0
RECONNECT_S: Final = 0.5
FASTER: Final = 4
"""How much larger the next batch may be than one that the broker took in time."""

log = logging.getLogger(__name__)


class RelayLoop:
    """One relay; any number of them may share an outbox."""

    def __init__(self, connect: Connect, publisher: Publisher, *, queue: str, batch: int) -> None:
        self._connect = connect
        self._publisher = publisher
        self._queue = queue
        self._most = batch
        self._next = 1
        self._prune_at_s = time.monotonic()

    async def run(self) -> None:
        """Relay until cancelled; whatever database or broker do, it tries again."""
        while True:
            try:
                connection = await self._connect()
                async with connection:
                    while True:
                        await self._round(connection)
            except psycopg.Error as error:
                log.warning("the outbox can't be read: %s", type(error).__name__)
                await asyncio.sleep(RECONNECT_S)

    async def _round(self, connection: psycopg.AsyncConnection[Any]) -> None:
        if time.monotonic() >= self._prune_at_s:
            self._prune_at_s = time.monotonic() + PRUNE_EVERY_S
            async with connection.transaction():
                await connection.execute(PRUNE)
                await connection.execute(PRUNE_INBOX)
        if not (self._publisher.ready and await self._relay(connection)):
            await asyncio.sleep(POLL_S)

    async def _relay(self, connection: psycopg.AsyncConnection[Any]) -> bool:
        """Send one batch; whether there may be more to send at once."""
        async with connection.transaction():
            rows = await _claim(connection, self._next)
            if not rows:
                return False
            sent = await self._publisher.publish(list(map(_outgoing, rows)), queue=self._queue)
            ids = [row.id for row in rows if row.message_id in sent]
            await connection.execute(MARK_SENT, {"ids": ids})
        whole = len(ids) == len(rows)
        # A broker in trouble is tried with one message, so that its duplicates are few.
        self._next = min(self._most, self._next * FASTER) if whole else 1
        return whole


async def _claim(connection: psycopg.AsyncConnection[Any], limit: int) -> Sequence[OutboxRow]:
    async with connection.cursor(row_factory=class_row(OutboxRow)) as cursor:
        await cursor.execute(UNSENT, {"limit": limit})
        return await cursor.fetchall()


def _outgoing(row: OutboxRow) -> Outgoing:
    headers = {} if row.traceparent is None else {"traceparent": row.traceparent}
    return Outgoing(
        key=row.message_id,
        topic=row.topic,
        body=row.body.encode(),
        sent_at=row.created_at,
        headers=headers,
    )
