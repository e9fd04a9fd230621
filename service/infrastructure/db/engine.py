"""The connection pool `main`: fixed in size, and bounded in every wait that it can cause.

A restarted server costs no request: what an idle connection has to say is looked at, without a
round trip, when it is taken from the pool.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
from sqlalchemy import event, exc
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from service.application.settings import Settings, Timeouts
from service.infrastructure.db.bounded_connection import BoundedConnection

Connect = Callable[[], Awaitable[psycopg.AsyncConnection[Any]]]


def make_engine(
    settings: Settings, *, name: str = "context-handling", pool_size: int | None = None
) -> AsyncEngine:
    """Return the engine of a process; nothing is connected before its first statement.

    Args:
        settings: address and limits.
        name: what the database calls the process.
        pool_size: connections at most; `settings.pool_size` when omitted.
    """
    limits = settings.limits
    engine = create_async_engine(
        make_url(settings.database_url).set(drivername="postgresql+psycopg"),
        async_creator=connector(
            settings.database_url,
            application_name=name,
            limits=limits,
            connect_s=limits.checkout_s,
        ),
        pool_size=settings.pool_size if pool_size is None else pool_size,
        max_overflow=0,
        pool_timeout=limits.checkout_s,
        # A ping before each checkout costs a round trip and hangs on a frozen server like the
        # statement itself would.
        pool_pre_ping=False,
        pool_logging_name="main",
        # A conversation is the parameter of a statement: it must not get into a traceback.
        hide_parameters=True,
    )
    event.listen(engine.sync_engine, "checkout", _refuse_if_dropped)
    event.listen(engine.sync_engine, "handle_error", _leave_standby)
    return engine


def _refuse_if_dropped(connection: DBAPIConnection, *_: object) -> None:
    """Let SQLAlchemy connect anew, here and everywhere, if the server hung up meanwhile."""
    driver: psycopg.AsyncConnection[Any] = connection.driver_connection
    idle = select.poll()
    if not driver.closed:
        idle.register(driver.fileno(), select.POLLIN)
    # A server says nothing to an idle connection but farewell.
    if driver.closed or idle.poll(0):
        raise exc.InvalidatePoolError("the server hung up")


def _leave_standby(context: ExceptionContext) -> None:
    """Treat a server that only reads as gone: after a failover the pool must find the new one."""
    if isinstance(context.original_exception, psycopg.errors.ReadOnlySqlTransaction):
        context.is_disconnect = True


def connector(
    database_url: str, *, application_name: str, limits: Timeouts, connect_s: float | None
) -> Connect:
    """Return a function that opens a connection within `connect_s` seconds.

    Raises (the function):
        psycopg.OperationalError: there is no server, it refuses, or does not answer in time.
    """
    conninfo = libpq_url(database_url)
    options = server_limits(limits)
    kind = psycopg.AsyncConnection if limits.statement_s is None else BoundedConnection

    async def connect() -> psycopg.AsyncConnection[Any]:
        # libpq's own connect_timeout counts whole seconds and no fewer than two.
        try:
            async with asyncio.timeout(connect_s):
                connection = await kind.connect(
                    conninfo, options=options, application_name=application_name
                )
        except TimeoutError as error:
            raise psycopg.errors.ConnectionTimeout("the server did not answer in time") from error
        if isinstance(connection, BoundedConnection) and limits.statement_s is not None:
            connection.bound(limits.statement_s)
        return connection

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
