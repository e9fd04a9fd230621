"""Runs of the nightly job in PostgreSQL, and the lock that keeps them one at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import date
from typing import Final

from sqlalchemy import func, null, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from service.application.ports.nightly_log import NightlyRun
from service.infrastructure.db.engine import Connect
from service.infrastructure.db.tables import nightly_run as runs

_LOCK: Final = 504_002


class SqlNightlyLog:
    """The table `nightly_run`."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def begin(self, night: date, *, users_total: int) -> NightlyRun:
        """Return the night's run as it was left, or a new one over `users_total` users."""
        new = NightlyRun(night, users_total)
        fields = asdict(new)
        del fields["finished"]
        await self._session.execute(
            insert(runs).values(**fields, started_at=func.now()).on_conflict_do_nothing()
        )
        query = select(
            runs.c.night,
            runs.c.users_total,
            runs.c.done_up_to,
            runs.c.users_done,
            runs.c.users_failed,
            runs.c.finished_at.is_not(None),
        ).where(runs.c.night == night)
        return NightlyRun(*(await self._session.execute(query)).one())

    async def save(self, run: NightlyRun) -> None:
        """Store how far a run came that was begun."""
        await self._session.execute(
            update(runs)
            .where(runs.c.night == run.night)
            .values(
                done_up_to=run.done_up_to,
                users_done=run.users_done,
                users_failed=run.users_failed,
                finished_at=func.now() if run.finished else null(),
            )
        )


@asynccontextmanager
async def only_job(connect: Connect) -> AsyncIterator[bool]:
    """Hold the nightly job's lock meanwhile; False if another job has it.

    The lock is the connection's, so a job that was killed leaves none behind.
    """
    async with await connect() as connection:
        await connection.set_autocommit(True)
        cursor = await connection.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,))
        row = await cursor.fetchone()
        yield row is not None and bool(row[0])
