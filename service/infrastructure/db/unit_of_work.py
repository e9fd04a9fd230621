"""A unit of work is one SQLAlchemy session; its errors become the application's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import psycopg.errors
from sqlalchemy import exc
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from service.application.errors import StoreBusy, StoreRefused, StoreUnavailable
from service.application.ports.unit_of_work import BeginWork, UnitOfWork
from service.infrastructure.db.conversation_store import SqlConversationStore
from service.infrastructure.db.friendship_store import SqlFriendshipStore
from service.infrastructure.db.inbox import SqlInbox
from service.infrastructure.db.nightly_log import SqlNightlyLog
from service.infrastructure.db.outbox_store import SqlOutboxStore
from service.infrastructure.db.prompt_store import SqlPromptStore
from service.infrastructure.db.score_ledger import SqlScoreLedger

RECONNECTS_EXHAUSTED: Final = "This connection is closed"
"""What the pool says when connection after connection was found dead as it was handed out."""


class SqlUnitOfWork:
    """The stores of one session, hence of one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session
        self.conversations = SqlConversationStore(session)
        self.friendships = SqlFriendshipStore(session)
        self.prompts = SqlPromptStore(session)
        self.outbox = SqlOutboxStore(session)
        self.ledger = SqlScoreLedger(session)
        self.inbox = SqlInbox(session)
        self.nights = SqlNightlyLog(session)

    async def commit(self) -> None:
        """Store everything written so far."""
        await self._session.commit()


def units_of_work(engine: AsyncEngine) -> BeginWork:
    """Return a function that starts units of work on this engine."""

    @asynccontextmanager
    async def begin_work() -> AsyncIterator[UnitOfWork]:
        with store_errors():
            async with AsyncSession(engine) as session:
                yield SqlUnitOfWork(session)

    return begin_work


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn what SQLAlchemy and psycopg raise into the application's errors.

    Raises:
        StoreBusy: no connection became free, or a lock was not given, in time.
        StoreUnavailable: the database can't be reached or gave up a statement.
        StoreRefused: it would never take this statement.
    """
    try:
        yield
    except exc.TimeoutError as error:
        raise StoreBusy("no database connection became free in time") from error
    except exc.DBAPIError as error:
        if isinstance(error.orig, psycopg.errors.LockNotAvailable):
            raise StoreBusy("a row stayed locked for too long") from error
        if isinstance(error.orig, psycopg.errors.QueryCanceled):
            raise StoreUnavailable("the database did not answer in time") from error
        if error.connection_invalidated or isinstance(error.orig, psycopg.OperationalError):
            raise StoreUnavailable("the database can't be reached") from error
        # What PostgreSQL says of it quotes the whole row, and a row is somebody's conversation.
        raise StoreRefused(_without_values(error)) from None
    except exc.InvalidRequestError as error:
        # SQLAlchemy has no class of its own for it; every other one is a mistake in our code.
        if str(error) != RECONNECTS_EXHAUSTED:
            raise
        raise StoreUnavailable("new connections to the database die at once") from error


def _without_values(error: exc.DBAPIError) -> str:
    driver = error.orig
    where = getattr(getattr(driver, "diag", None), "constraint_name", None)
    return f"{type(driver).__name__} {where or ''}".rstrip()
