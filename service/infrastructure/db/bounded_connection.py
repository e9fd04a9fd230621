"""A connection that lets go of a server which does not answer.

PostgreSQL's own `statement_timeout` can't fire in a frozen server, and psycopg waits without limit;
when it is cancelled, it asks the server to cancel the statement and waits ten seconds for that.
Here a wait ends by shutting the socket down, which psycopg sees as a lost connection, and with it
SQLAlchemy: both know what to do then.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Any, Final, TypeVar

import psycopg
from psycopg.abc import PQGen

RV = TypeVar("RV")

GRACE: Final = 0.1
"""Of the statement limit: how much later than the server the client gives up."""


class BoundedConnection(psycopg.AsyncConnection[Any]):
    """One that waits for its server `answer_s` at most, and `cancel_s` once it is cancelled."""

    answer_s = 0.0
    cancel_s = 0.0
    _cut: asyncio.TimerHandle | None = None

    def bound(self, statement_s: float) -> None:
        """Wait a little longer than `statement_s`, so that a healthy server gives up first."""
        self.cancel_s = statement_s * GRACE
        self.answer_s = statement_s + self.cancel_s

    async def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Return what the generator gives.

        Raises:
            psycopg.OperationalError: the server did not answer in time; the connection is lost.
        """
        self._cut_in(self.answer_s)
        try:
            return await super().wait(gen, interval, timeout)
        finally:
            self._cut_in(None)

    async def cancel_safe(self, *, timeout: float = 30.0) -> None:
        """Ask the server to cancel; whether it does or not, the wait ends in `cancel_s`."""
        self._cut_in(self.cancel_s)
        await super().cancel_safe(timeout=min(timeout, self.cancel_s))

    def _cut_in(self, seconds: float | None) -> None:
        if self._cut is not None:
            self._cut.cancel()
        self._cut = None
        if seconds is not None:
            self._cut = asyncio.get_running_loop().call_later(seconds, self._shut_down)

    def _shut_down(self) -> None:
        with suppress(psycopg.OperationalError, OSError):
            wire = socket.socket(fileno=self.pgconn.socket)
            try:
                wire.shutdown(socket.SHUT_RDWR)
            finally:
                wire.detach()
