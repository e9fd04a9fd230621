"""Waits and holds of SQLAlchemy's connection pools, sync and async, by public hooks.

A wait is queueing only: it opens when the pool has nothing left at entry and ends when a slot is
ours, before any connecting or pinging. Else the hold begins at entry, so that a checkout which
hangs in connect or pre-ping is seen as what it is: somebody who has a slot.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from why504 import names
from why504.probe import site
from why504.probe.clients.database import Database, fail_span
from why504.probe.exposed.metrics import Metrics
from why504.probe.givenback import give_back
from why504.probe.inflight import Registry
from why504.probe.kit import Patches
from why504.probe.pools.slots import Attempt, Slots, backend_pid
from why504.probe.safety import Guard
from why504.probe.spans.calls import Calls
from why504.probe.telling.openrecord import OpenRecord, RecordBook

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine
    from sqlalchemy.pool import ConnectionPoolEntry, Pool

_HOLD: Final = "why504.hold"
_OURS: Final = 2
"""Frames of this module between a checkout and whoever asked for it."""
_FALSE_WAIT_S: Final = 0.001
"""A wait shorter than this met a slot that was just being given back: nobody queued."""


_ATTEMPT: Final[ContextVar[Attempt | None]] = ContextVar("why504_checkout", default=None)


def is_watched(pool: Pool) -> bool:
    """Return whether a pool has a watch: two would tell each wait, hold and connection twice."""
    return "connect" in vars(pool)


class PoolWatch:
    """Watches the pool of one engine, through `engine.dispose()` and clones of the engine."""

    def __init__(
        self,
        engine: Engine,
        name: str,
        book: RecordBook,
        *,
        registry: Registry,
        metrics: Metrics,
        hold_after_s: float,
    ) -> None:
        self.name = name
        self.resource = names.pool(name)
        self.slots = Slots(engine.pool)
        self.timeouts = 0
        self.errors = 0
        """Connections that could not be opened."""
        self.used = False
        self._engine = engine
        self._book = book
        self._registry = registry
        self._waited, self._used = metrics.of_pool(name)
        self._hold_after_s = hold_after_s
        self._last_wait_s = float("-inf")
        self._waits: dict[int, OpenRecord] = {}
        self._holds: dict[int, OpenRecord] = {}
        self._undo: list[Callable[[], None]] = []
        self._of_dialect = Patches()
        self._of_pool = Patches()
        self._is_over = False

    def attach(self, guard: Guard, calls: Calls) -> None:
        """Hook the engine; `detach` undoes it."""
        self._guard = guard.site("pool")
        self._calls = calls
        self._database = Database.of(self._engine, self.name)
        self._listen("checkout", self._on_checkout)
        self._listen("checkin", self._on_checkin)
        self._listen("detach", self._on_detach)
        self._listen("connect", self._on_connected, insert=True)
        # No event tells the pre-ping, and a connection that is pinged is no longer queued for.
        self._of_dialect.wrap(self._engine.dialect, "do_ping", self._pinging)
        self._wrap(self._engine.pool)

    def detach(self) -> None:
        """Remove every hook; holds that are open stay untold from now on."""
        self._is_over = True
        while self._undo:
            self._undo.pop()()
        self._of_dialect.undo()
        self._of_pool.undo()

    def waiting(self) -> int:
        """Return how many wait for a connection now."""
        return len(self._waits)

    def holds(self) -> list[OpenRecord]:
        """Return the open holds, oldest first."""
        return list(self._holds.copy().values())

    def idle(self) -> int:
        """Return how many open connections nobody uses; 0 before the first use."""
        checked_in = getattr(self.slots.pool, "checkedin", None)
        return int(checked_in()) if self.used and checked_in is not None else 0

    # --- hooks ------------------------------------------------------------------------------------

    def _listen(self, name: str, hook: Callable[..., None], *, insert: bool = False) -> None:
        from sqlalchemy import event

        event.listen(self._engine, name, hook, insert=insert)
        self._undo.append(lambda: event.remove(self._engine, name, hook))

    def _wrap(self, pool: Pool) -> None:
        self.slots = slots = Slots(pool)
        # Those of a pool that was disposed of go with it.
        self._of_pool = Patches()
        self._of_pool.wrap(pool, "connect", partial(self._connecting_to, slots))
        self._of_pool.wrap(pool, "recreate", self._recreating)
        # An event tells as much, but of dialects: a listener to one sends each statement of the
        # engine round by all the others.
        self._of_pool.wrap(pool, "_invoke_creator", self._creating)

    def _connecting_to(self, slots: Slots, connect: Callable[[], Any]) -> Callable[[], Any]:
        def watched_connect() -> Any:
            if self._is_over:
                return connect()
            attempt = self._begin(slots)
            token = _ATTEMPT.set(attempt)
            try:
                connection = connect()
            except BaseException as error:
                self._failed(attempt, error)
                raise
            finally:
                give_back(_ATTEMPT, token)
            if attempt is not None and not attempt.settled:
                self._settle(attempt)
            return connection

        return watched_connect

    def _recreating(self, recreate: Callable[[], Pool]) -> Callable[[], Pool]:
        def watched_recreate() -> Pool:
            # The engine was disposed of, and goes on with a new pool. Its own event would tell,
            # but a listener to that makes each statement go round by all events of engines.
            fresh = recreate()
            if not self._is_over:
                with self._guard:
                    self._wrap(fresh)
            return fresh

        return watched_recreate

    def _pinging(self, ping: Callable[[Any], bool]) -> Callable[[Any], bool]:
        def watched_ping(connection: Any) -> bool:
            with self._guard:
                attempt = _ATTEMPT.get()
                if attempt is not None:
                    self._got_slot(attempt)
            return ping(connection)

        return watched_ping

    def _creating(self, create: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def watched_create(record: Any) -> Any:
            with self._guard:
                attempt = _ATTEMPT.get()
                if attempt is not None:
                    self._got_slot(attempt)
                    name = f"connect {self._database.namespace}".rstrip()
                    attempt.connecting = self._calls.begin(name, dict(self._database.attributes))
            return create(record)

        return watched_create

    def _on_connected(self, connection: Any, record: Any) -> None:
        with self._guard:
            attempt = _ATTEMPT.get()
            if attempt is None:
                return
            self._got_slot(attempt)
            if attempt.connecting is not None:
                attempt.connecting.end()
                attempt.connecting = None

    def _on_checkout(self, connection: Any, entry: ConnectionPoolEntry, proxy: Any) -> None:
        try:
            attempt = _ATTEMPT.get()
            if attempt is None or attempt.settled:
                return
            if attempt.record.kind == names.WAIT:
                self._got_slot(attempt)
            attempt.settled = True
            self.used = True
            pid = backend_pid(entry)
            if pid is not None:
                attempt.record.attributes[names.BACKEND_PID] = pid
            if entry.record_info is not None:
                # StaticPool gives one connection to many, and tells its return but once.
                entry.record_info.setdefault(_HOLD, []).append(attempt)
        except Exception as error:
            if not self._guard.swallows(error):
                raise

    def _on_checkin(self, connection: Any, entry: ConnectionPoolEntry) -> None:
        try:
            for attempt in (entry.record_info or {}).pop(_HOLD, ()):
                self._end_hold(attempt.slots, attempt.record, "released")
        except Exception as error:
            if not self._guard.swallows(error):
                raise

    def _on_detach(self, connection: Any, entry: ConnectionPoolEntry) -> None:
        with self._guard:
            for attempt in (entry.record_info or {}).pop(_HOLD, ()):
                self._end_hold(attempt.slots, attempt.record, "detached")

    # --- the life of one checkout -----------------------------------------------------------------

    def _begin(self, slots: Slots) -> Attempt | None:
        try:
            free = slots.take_if_free()
            place = self._registry.place()
            record = self._book.mint(names.HOLD if free else names.WAIT, self.resource, place)
            if not place.in_task:
                self._registry.saw(place, record.trace_id)
            record.attributes = {
                names.POOL_NAME: self.name,
                names.THREAD_ID: place.thread_id,
                **site.caller_attributes(_OURS),
            }
            if not free:
                record.attributes |= {
                    names.POOL_CAPACITY: slots.capacity() or 0,
                    names.POOL_IN_USE: slots.taken,
                    names.POOL_WAITING: self.waiting(),
                }
            (self._holds if free else self._waits)[record.span_id] = record
            self._book.open(record)
            return Attempt(slots, record)
        except Exception as error:
            if not self._guard.swallows(error):
                raise
            return None

    def _got_slot(self, attempt: Attempt) -> None:
        wait = attempt.record
        if wait.kind != names.WAIT:
            return
        attempt.slots.take()
        self._end_wait(wait, "acquired")
        hold = self._book.mint(names.HOLD, self.resource, wait.place)
        hold.trace_id, hold.parent_id = wait.trace_id, wait.parent_id
        queue = (names.POOL_CAPACITY, names.POOL_IN_USE, names.POOL_WAITING)
        hold.attributes = {k: v for k, v in wait.attributes.items() if k not in queue}
        attempt.record = self._holds[hold.span_id] = hold
        self._book.open(hold)

    def _failed(self, attempt: Attempt | None, error: BaseException) -> None:
        if attempt is None:
            return
        with self._guard:
            from sqlalchemy.exc import TimeoutError as PoolTimeout

            timed_out = isinstance(error, PoolTimeout)
            self.timeouts += timed_out
            if attempt.connecting is not None:
                # Who is cancelled has given up; nobody refused it a connection.
                self.errors += isinstance(error, Exception)
                fail_span(attempt.connecting, error)
            if attempt.record.kind == names.WAIT:
                self._end_wait(attempt.record, "timeout" if timed_out else "cancelled")
            elif not attempt.settled:
                self._end_hold(attempt.slots, attempt.record, "released")

    def _settle(self, attempt: Attempt) -> None:
        # A pool that hands the same connection to a thread again tells no checkout.
        with self._guard:
            self._got_slot(attempt)
            attempt.slots.give_back()
            self._holds.pop(attempt.record.span_id, None)
            self._book.close(attempt.record, "released", publish=False)

    def _end_wait(self, wait: OpenRecord, outcome: str) -> None:
        self._waits.pop(wait.span_id, None)
        now_s = self._book.clock.monotonic_s()
        queued = wait.lasted_s(now_s) > _FALSE_WAIT_S or outcome != "acquired"
        if queued:
            self._last_wait_s = now_s
        seconds = self._book.close(wait, outcome, publish=queued)
        self._waited.observe(seconds, wait.trace_id)

    def _end_hold(self, slots: Slots, hold: OpenRecord, outcome: str) -> None:
        slots.give_back()
        self._holds.pop(hold.span_id, None)
        lasted_s = self._book.clock.monotonic_s() - hold.opened_s
        waited_for = self._last_wait_s >= hold.opened_s or bool(self._waits)
        publish = lasted_s > self._hold_after_s or waited_for
        self._book.close(hold, outcome, publish=publish)
        self._used.observe(lasted_s, hold.trace_id)
