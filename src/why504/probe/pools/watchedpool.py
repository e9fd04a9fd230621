"""A pool of any library: who waits for a place in it, and who has one.

As in `pool.py` a wait is queueing only: where a place is free the hold begins at once, so that a
checkout which hangs in connecting is seen as what it is, somebody who has a place.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, NamedTuple

from why504 import names
from why504.probe import site
from why504.probe.exposed.histogram import Series
from why504.probe.inflight import Place
from why504.probe.kit import Kit
from why504.probe.telling.openrecord import OpenRecord

_FALSE_WAIT_S: Final = 0.001
"""A wait shorter than this met a place that was just being given back: nobody queued."""
_QUEUE: Final = (names.POOL_CAPACITY, names.POOL_IN_USE, names.POOL_WAITING)


class Room(NamedTuple):
    """How many a pool may give out at once; None = as many as are asked for."""

    capacity: Callable[[], int | None]


class WatchedPool:
    """One pool.

    Args:
        resource: how it is told: `names.pool(name)` and its like.
        name: how people call it.
        room: how many it may give out.
        idle: returns how many open connections nobody uses.
        of_a_database: whether it is measured; a pool of HTTP connections is only told, and of its
            holds only those that mattered to somebody who waited.
    """

    def __init__(
        self,
        kit: Kit,
        resource: str,
        name: str,
        room: Room,
        *,
        idle: Callable[[], int] = lambda: 0,
        of_a_database: bool = False,
    ) -> None:
        self.name = name
        self.resource = resource
        self.slots = room
        self.idle = idle
        self.timeouts = 0
        self.errors = 0
        """Connections that could not be opened."""
        self._kit = kit
        self.of_a_database = of_a_database
        self._waited: Series | None = None
        self._used: Series | None = None
        if of_a_database:
            self._waited, self._used = kit.metrics.of_pool(name)
        self._hold_after_s = kit.hold_after_s if of_a_database else float("inf")
        self._last_wait_s = float("-inf")
        self._waits: dict[int, OpenRecord] = {}
        self._holds: dict[int, OpenRecord] = {}
        self._by_key: dict[int, OpenRecord] = {}
        # Reentrant: garbage collection may give something back while this thread is in here.
        self._lock = threading.RLock()

    def waiting(self) -> int:
        """Return how many wait for a place now."""
        return len(self._waits)

    def holds(self) -> list[OpenRecord]:
        """Return the open holds, oldest first."""
        return list(self._holds.copy().values())

    def asks(self, in_use: int = 0, *, full: bool | None = None) -> OpenRecord:
        """Open a hold if a place is free, else a wait.

        Args:
            in_use: how many are out as the pool itself says: some may be older than the probe.
            full: whether one has to wait, where the library tells it.
        """
        place = Place.here()
        with self._lock:
            if full is None:
                capacity = self.slots.capacity()
                full = capacity is not None and max(len(self._holds), in_use) >= capacity
            kind = names.WAIT if full else names.HOLD
            record = self._kit.book.mint(kind, self.resource, place)
            (self._waits if full else self._holds)[record.span_id] = record
        self._kit.registry.saw(place, record.trace_id)
        record.attributes = {
            names.THREAD_ID: place.thread_id,
            **site.attributes_of(site.user_line(site.current_lines())),
        }
        if self.of_a_database:
            record.attributes[names.POOL_NAME] = self.name
        if full:
            record.attributes[names.POOL_CAPACITY] = self.slots.capacity() or 0
            record.attributes[names.POOL_IN_USE] = max(len(self._holds), in_use)
            record.attributes[names.POOL_WAITING] = self.waiting() - 1
        self._kit.book.open(record)
        return record

    def got(self, record: OpenRecord) -> OpenRecord:
        """End a wait: its place is there, before any connecting; return the hold."""
        if record.kind != names.WAIT:
            return record
        self._end_wait(record, "acquired")
        hold = self._kit.book.mint(names.HOLD, self.resource, record.place)
        hold.trace_id, hold.parent_id = record.trace_id, record.parent_id
        hold.attributes = {k: v for k, v in record.attributes.items() if k not in _QUEUE}
        self._holds[hold.span_id] = hold
        self._kit.book.open(hold)
        return hold

    def has(self, hold: OpenRecord, thing: object, pid: int | None = None) -> None:
        """Note that a hold is of `thing`, by which it is found once that is given back.

        `pid` is PostgreSQL's backend behind it.
        """
        self._by_key[id(thing)] = hold
        if pid is not None:
            hold.attributes[names.BACKEND_PID] = pid

    def gave_up(self, record: OpenRecord, error: BaseException, *, timed_out: bool = False) -> None:
        """End what came to nothing: a wait, or a hold of a connection that could not be opened."""
        if record.kind == names.WAIT:
            self.timeouts += timed_out
            self._end_wait(record, "timeout" if timed_out else "cancelled")
        else:
            # Who is cancelled has given up; nobody refused it a connection.
            self.errors += isinstance(error, Exception)
            self._end_hold(record, "released")

    def returned(self, thing: object, outcome: str = "released") -> None:
        """End the hold of a thing that was given back; of one that is unknown, nothing."""
        hold = self._by_key.pop(id(thing), None)
        if hold is not None:
            self._end_hold(hold, outcome)

    def returned_here(self) -> None:
        """End the latest hold of this thread: what is given back in pieces has no name any more."""
        here = threading.get_ident()
        for key, hold in reversed(list(self._by_key.items())):
            if hold.place.thread_id == here:
                self._by_key.pop(key, None)
                self._end_hold(hold, "released")
                return

    def forget(self) -> None:
        """Forget who has what: after a fork all of it is in the parent."""
        self._waits.clear()
        self._holds.clear()
        self._by_key.clear()

    def _end_wait(self, wait: OpenRecord, outcome: str) -> None:
        self._waits.pop(wait.span_id, None)
        now_s = self._kit.book.clock.monotonic_s()
        queued = wait.lasted_s(now_s) > _FALSE_WAIT_S or outcome != "acquired"
        if queued:
            self._last_wait_s = now_s
        seconds = self._kit.book.close(wait, outcome, publish=queued)
        if self._waited is not None:
            self._waited.observe(seconds, wait.trace_id)

    def _end_hold(self, hold: OpenRecord, outcome: str) -> None:
        if self._holds.pop(hold.span_id, None) is None:
            return
        lasted_s = hold.lasted_s(self._kit.book.clock.monotonic_s())
        waited_for = self._last_wait_s >= hold.opened_s or self.waiting() > 0
        publish = lasted_s > self._hold_after_s or waited_for
        self._kit.book.close(hold, outcome, publish=publish)
        if self._used is not None:
            self._used.observe(lasted_s, hold.trace_id)
