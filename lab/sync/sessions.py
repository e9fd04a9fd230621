"""The pool, and sessions on it: one that is closed whatever happens, and one that nobody closes."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Final

from sqlalchemy import create_engine
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from lab.sync.store import Store
from service.application.settings import Settings
from service.infrastructure.db.engine import server_limits
from service.infrastructure.db.unit_of_work import store_errors

BeginWork = Callable[[], AbstractContextManager[Store]]
"""Starts a transaction."""
NO_LIMIT_S: Final = 86_400.0
"""SQLAlchemy knows no checkout without a limit; a day is one."""


def make_engine(settings: Settings) -> Engine:
    """Return the engine; nothing is connected before its first statement."""
    limits = settings.limits
    return create_engine(
        make_url(settings.database_url).set(drivername="postgresql+psycopg"),
        connect_args={"options": server_limits(limits), "application_name": "context-handling"},
        pool_size=settings.pool_size,
        max_overflow=0,
        pool_timeout=NO_LIMIT_S if limits.checkout_s is None else limits.checkout_s,
        hide_parameters=True,
    )


def closed_sessions(engine: Engine) -> BeginWork:
    """Return a function that starts transactions whose session is closed, whatever happens."""

    @contextmanager
    def begin_work() -> Iterator[Store]:
        with store_errors(), Session(engine) as session:
            yield Store(session)

    return begin_work


def kept_sessions(engine: Engine) -> BeginWork:
    """Return the same on a `scoped_session` of the request, without the `remove()` it asks for.

    Real life: the recipe for FastAPI, where a thread is no scope since requests share threads. A
    commit gives the connection back, which hides the mistake: only requests that end without one
    keep theirs for good.
    """
    request: ContextVar[str] = ContextVar("request")
    sessions = scoped_session(sessionmaker(engine), scopefunc=request.get)

    @contextmanager
    def begin_work() -> Iterator[Store]:
        # An endpoint's thread has a copy of its request's context.
        request.set(uuid.uuid4().hex)
        with store_errors():
            yield Store(sessions())

    return begin_work
