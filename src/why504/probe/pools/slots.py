"""The slots of a connection pool: how many there are, how many are taken, whose backend it is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import Span

from why504.probe.telling.openrecord import OpenRecord

if TYPE_CHECKING:
    from sqlalchemy.pool import ConnectionPoolEntry, Pool

_PID: Final = "why504.backend_pid"


class Slots:
    """One pool instance: its capacity, and how many of its slots are taken or being taken."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        # Reentrant: garbage collection may give a connection back while this thread is in here.
        self.lock = threading.RLock()
        self.taken = 0
        self._checked_out: Callable[[], int] = getattr(pool, "checkedout", int)
        self._before = self._checked_out()
        """Taken already: who gives those back is not seen."""
        self._most = _most_of(pool)

    def capacity(self) -> int | None:
        """Return how many connections the pool may give out; None = as many as are asked for."""
        return self._most

    def take_if_free(self) -> bool:
        """Take a slot unless all are taken."""
        with self.lock:
            most, taken = self._most, self.taken
            # The pool is not asked while all that may be taken is less.
            if (
                most is not None
                and taken + self._before >= most
                and (taken >= most or self._checked_out() >= most)
            ):
                return False
            self.taken = taken + 1
            return True

    def take(self) -> None:
        """Take the slot that the queue gave us."""
        with self.lock:
            self.taken += 1

    def give_back(self) -> None:
        """Give a slot back."""
        with self.lock:
            self.taken -= 1


def _most_of(pool: Pool) -> int | None:
    size = getattr(pool, "size", None)
    # The limit has no public reader; without it the pool counts as unlimited.
    overflow = getattr(pool, "_max_overflow", -1)
    return None if size is None or overflow < 0 else int(size()) + int(overflow)


class Attempt:
    """One call of `pool.connect()`, and what came of it while that is held."""

    connecting: Span | None = None
    settled = False

    def __init__(self, slots: Slots, record: OpenRecord) -> None:
        self.slots = slots
        self.record = record
        """The wait while it queues, the hold from then on."""


def backend_pid(entry: ConnectionPoolEntry) -> int | None:
    """Return PostgreSQL's pid of a connection, asked once for each connection."""
    if _PID in entry.info:
        known: int | None = entry.info[_PID]
        return known
    driver: Any = entry.driver_connection
    info = getattr(driver, "info", None)
    pid = getattr(info, "backend_pid", None)
    for method in ("get_backend_pid", "get_server_pid"):
        if pid is None and hasattr(driver, method):
            pid = getattr(driver, method)()
    entry.info[_PID] = known = None if pid is None else int(pid)
    return known
