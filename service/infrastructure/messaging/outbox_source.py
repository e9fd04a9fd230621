"""Messages straight from the outbox, where there is no RabbitMQ.

A worker claims a row for a while and renews the claim as long as it works on it: a dead worker's
rows are free again when their claims end. No transaction is open in between.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Self

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from service.application.settings import Settings
from service.infrastructure.messaging import outbox_sql as sql
from service.infrastructure.messaging.metrics import ConsumerMetrics

POLL_S: Final = 0.2
AGAIN_S: Final = 1.0
PRUNE_EVERY_S: Final = 60.0
SETTLE_ATTEMPTS: Final = 3

log = logging.getLogger(__name__)


class OutboxSource:
    """The port `MessageSource` on the table `outbox`."""

    def __init__(
        self, engine: AsyncEngine, settings: Settings, *, metrics: ConsumerMetrics
    ) -> None:
        self._engine = engine
        self._most = settings.delivery_limit
        self._lease = timedelta(seconds=_lease_s(settings))
        self._metrics = metrics
        self._in_hand: set[int] = set()
        self._tidy_at_s = 0.0
        self._renewing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._renewing = asyncio.create_task(self._renew())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait({self._renewing})

    async def next(self) -> _OutboxDelivery:
        """Claim the oldest message that is free; while there is none it looks every POLL_S."""
        while True:
            try:
                row = await self._claim()
            except (SQLAlchemyError, OSError) as error:
                log.warning("no message can be claimed: %s", type(error).__name__)
                await asyncio.sleep(AGAIN_S)
                continue
            if row is not None:
                return _OutboxDelivery(self, row)
            await asyncio.sleep(POLL_S)

    async def settle(self, row: sql.OutboxRow, statement: str, **values: Any) -> None:
        """Write what became of a row; if that can't be, its claim ends and it comes again."""
        self._in_hand.discard(row.id)
        for attempt in range(1, SETTLE_ATTEMPTS + 1):
            try:
                await self._run(statement, id=row.id, **values)
            except (SQLAlchemyError, OSError) as error:
                kind = type(error).__name__
                log.warning("message %s can't be settled: %s", row.message_id, kind)
                if attempt < SETTLE_ATTEMPTS:
                    await asyncio.sleep(AGAIN_S)
            else:
                return

    async def _claim(self) -> sql.OutboxRow | None:
        if time.monotonic() >= self._tidy_at_s:
            self._tidy_at_s = time.monotonic() + PRUNE_EVERY_S
            await self._run(sql.PRUNE)
            await self._run(sql.PRUNE_INBOX)
        claimed = await self._run(sql.CLAIM, lease=self._lease, most=self._most)
        if not claimed:
            await self._run(sql.SET_ASIDE_OVERDUE, most=self._most)
            return None
        row = sql.OutboxRow(*claimed[0])
        self._in_hand.add(row.id)
        if row.deliveries > 1:
            self._metrics.redelivered.inc()
        return row

    async def _run(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        async with self._engine.begin() as connection:
            result = await connection.exec_driver_sql(statement, values or None)
            return [tuple(row) for row in result] if result.returns_rows else []

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._lease.total_seconds() / 4)
            if self._in_hand:
                try:
                    await self._run(sql.RENEW, lease=self._lease, ids=list(self._in_hand))
                except (SQLAlchemyError, OSError) as error:
                    log.warning("claims can't be renewed: %s", type(error).__name__)


def _lease_s(settings: Settings) -> float:
    """Return how long a claim lasts: several renewals may fail at their limits before it ends."""
    limits = settings.limits
    return 4 * ((limits.statement_s or 10.0) + (limits.checkout_s or 5.0))


@dataclass(frozen=True, slots=True)
class _OutboxDelivery:
    """The port `Delivery`."""

    source: OutboxSource
    row: sql.OutboxRow

    @property
    def message_id(self) -> str:
        """The same at every delivery."""
        return self.row.message_id

    @property
    def body(self) -> bytes:
        """The event in JSON."""
        return self.row.body.encode()

    @property
    def headers(self) -> Mapping[str, Any]:
        """`traceparent`, if the request had one."""
        return {} if self.row.traceparent is None else {"traceparent": self.row.traceparent}

    @property
    def sent_at(self) -> datetime | None:
        """When the event was stored."""
        return self.row.created_at

    async def ack(self) -> None:
        """Mark it as sent."""
        await self.source.settle(self.row, sql.DONE)

    async def requeue(self) -> None:
        """Give up the claim; deliveries are counted."""
        await self.source.settle(self.row, sql.GIVE_BACK)

    async def set_aside(self, reason: str) -> None:
        """Leave it in the table, unsent, with the reason."""
        await self.source.settle(self.row, sql.SET_ASIDE, reason=reason)
