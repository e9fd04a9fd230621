"""Samples the outbox on a connection of its own, whatever the relay waits for."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

import psycopg

from service.infrastructure.db.engine import Connect
from service.infrastructure.messaging.metrics import BacklogMetrics
from service.infrastructure.messaging.outbox_sql import BACKLOG

EVERY_S: Final = 2.0

log = logging.getLogger(__name__)


async def sample_backlog(connect: Connect, metrics: BacklogMetrics) -> None:
    """Tell the backlog every EVERY_S until cancelled; the figures' own age tells of failures."""
    while True:
        try:
            connection = await connect()
            async with connection:
                await connection.set_autocommit(True)
                while True:
                    cursor = await connection.execute(BACKLOG)
                    (row,) = await cursor.fetchall()
                    metrics.outbox(*row)
                    await asyncio.sleep(EVERY_S)
        except psycopg.Error as error:
            log.warning("the backlog can't be sampled: %s", type(error).__name__)
            await asyncio.sleep(EVERY_S)
