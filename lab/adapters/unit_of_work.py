"""Units of work on SQLAlchemy's `async_scoped_session`, without the `remove()` it asks for.

Real life: the registry keeps the session of every task that ever asked for one, so that nothing is
closed by garbage collection either. A commit gives the connection back, which hides the mistake:
only requests that end without one (a conversation that was stored before) keep theirs for good.
https://docs.sqlalchemy.org/en/20/orm/extensions/asyncio.html#using-asyncio-scoped-session
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine, async_scoped_session, async_sessionmaker

from service.application.ports.unit_of_work import BeginWork, UnitOfWork
from service.infrastructure.db.unit_of_work import SqlUnitOfWork, store_errors


def units_of_work(engine: AsyncEngine) -> BeginWork:
    """Return a function that starts units of work on this engine."""
    sessions = async_scoped_session(async_sessionmaker(engine), scopefunc=asyncio.current_task)

    @asynccontextmanager
    async def begin_work() -> AsyncIterator[UnitOfWork]:
        with store_errors():
            yield SqlUnitOfWork(sessions())

    return begin_work
