"""The connection pool `main`: fixed in size, and bounded in every wait that it can cause."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from service.application.settings import Settings, Timeouts

Connect = Callable[[], Awaitable[psycopg.AsyncConnection[Any]]]


def make_engine(settings: Settings) -> AsyncEngine:
    """Return the engine of the service; nothing is connected before its first statement."""
    limits = settings.limits
    return create_async_engine(
        make_url(settings.database_url).set(drivername="postgresql+psycopg"),
        async_creator=connector(
            settings.database_url,
            application_name="context-handling",
            limits=limits,
            connect_s=limits.checkout_s,
        ),
        pool_size=settings.pool_size,
        max_overflow=0,
        pool_timeout=limits.checkout_s,
        # A ping before each checkout costs a round trip and hangs on a frozen server like the
        # statement itself would.
        pool_pre_ping=False,
        pool_logging_name="main",
    )


def connector(
    database_url: str, *, application_name: str, limits: Timeouts, connect_s: float | None
) -> Connect:
    """Return a function that opens a connection within `connect_s` seconds.

    Raises (the function):
        psycopg.OperationalError: there is no server, it refuses, or does not answer in time.
    """
    conninfo = libpq_url(database_url)
    options = server_limits(limits)

    async def connect() -> psycopg.AsyncConnection[Any]:
        # libpq's own connect_timeout counts whole seconds and no fewer than two.
        try:
            async with asyncio.timeout(connect_s):
                return await psycopg.AsyncConnection.connect(
                    conninfo, options=options, application_name=application_name
                )
        except TimeoutError as error:
            raise psycopg.errors.ConnectionTimeout("the server did not answer in time") from error

    return connect


def libpq_url(database_url: str) -> str:
    """Return the URL as libpq reads it, whichever SQLAlchemy driver it names."""
    url = make_url(database_url).set(drivername="postgresql")
    return url.render_as_string(hide_password=False)


def server_limits(limits: Timeouts) -> str:
    """Return the connection options by which the server itself enforces the ladder."""
    return " ".join(
        # In PostgreSQL 0 means no limit, so a limit is never rounded down to it.
        f"-c {name}={0 if seconds is None else max(1, round(seconds * 1000))}"
        for name, seconds in (
            ("statement_timeout", limits.statement_s),
            ("lock_timeout", limits.lock_s),
            ("idle_in_transaction_session_timeout", limits.idle_in_transaction_s),
        )
    )
