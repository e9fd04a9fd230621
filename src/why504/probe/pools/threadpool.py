"""The threads of anyio, in which FastAPI runs synchronous endpoints: 40 a loop, then a queue.

https://anyio.readthedocs.io/en/stable/threads.html: the limiter belongs to a loop and can be got
there only; its numbers may be read from any thread. Who waits for a thread and who has one is told
as for a pool of connections. All tokens are taken and given back on the loop's own thread.
"""

from __future__ import annotations

import functools
import sys
from types import FrameType
from typing import Any, Final

from why504 import names
from why504.probe import job, site
from why504.probe.inflight import Place, Registry
from why504.probe.kit import Patches
from why504.probe.safety import Guard
from why504.probe.site import CodeLine
from why504.probe.telling.openrecord import OpenRecord, RecordBook

_RUNS: Final = "run_sync_in_worker_thread"
"""anyio's function that is given the work; its frame is the caller's when a token is asked for."""
_DEEPEST: Final = 8


class Threadpool:
    """The limiter of one event loop, once the application has imported anyio."""

    __slots__ = ("_limiter",)

    def __init__(self) -> None:
        self._limiter: Any = None

    def find(self) -> None:
        """Look for the limiter; called in a task of the loop, since anyio knows no other place."""
        if self._limiter is not None:
            return
        threads = sys.modules.get("anyio.to_thread")
        if threads is not None:
            self._limiter = threads.current_default_thread_limiter()

    @property
    def is_found(self) -> bool:
        """Whether anyio's limiter is known."""
        return self._limiter is not None

    def tokens(self) -> tuple[int, int, int]:
        """Return (used, most, waiting); all 0 where there is no limiter."""
        limiter = self._limiter
        if limiter is None:
            return 0, 0, 0
        seen = limiter.statistics()
        return int(seen.borrowed_tokens), int(seen.total_tokens), int(seen.tasks_waiting)


class ThreadpoolWatch:
    """Tells who waits for a thread and who has one; hooks anyio's limiter as a class."""

    def __init__(
        self, book: RecordBook, registry: Registry, guard: Guard, *, hold_after_s: float
    ) -> None:
        self._book = book
        self._registry = registry
        self._guard = guard.site("threadpool")
        self._hold_after_s = hold_after_s
        self._holds: dict[int, OpenRecord] = {}
        self._waiting = 0
        self._last_wait_s = float("-inf")
        self._patches = Patches()

    def attach(self) -> None:
        """Hook anyio if it is imported by now; does nothing the second time."""
        backend = sys.modules.get("anyio._backends._asyncio")
        limiter = getattr(backend, "CapacityLimiter", None)
        if self._patches or limiter is None:
            return
        self._patches.wrap(limiter, "acquire_on_behalf_of", self._acquires)
        self._patches.wrap(limiter, "release_on_behalf_of", self._releases)

    def detach(self) -> None:
        """Give anyio its own methods back; what is open stays untold from now on."""
        self._patches.undo()

    def _acquires(self, acquire: Any) -> Any:
        @functools.wraps(acquire)
        async def watched_acquire(this: Any, borrower: Any) -> None:
            record = self._begin(this)
            if record is None:
                await acquire(this, borrower)
                return
            try:
                await acquire(this, borrower)
            except BaseException:
                self._gave_up(record)
                raise
            self._got(record, borrower)

        return watched_acquire

    def _releases(self, release: Any) -> Any:
        @functools.wraps(release)
        def watched_release(this: Any, borrower: Any) -> None:
            self._released(borrower)
            release(this, borrower)

        return watched_release

    def _begin(self, limiter: Any) -> OpenRecord | None:
        """Open a wait, or a hold where a token is free; limiters of the user's own are theirs."""
        with self._guard:
            line = _job()
            threads = sys.modules["anyio.to_thread"]
            if line is None or threads.current_default_thread_limiter() is not limiter:
                return None
            seen = limiter.statistics()
            free = seen.borrowed_tokens < seen.total_tokens and not seen.tasks_waiting
            place = Place.here()
            kind = names.HOLD if free else names.WAIT
            record = self._book.mint(kind, names.THREADPOOL, place)
            self._registry.saw(place, record.trace_id)
            record.attributes = {names.THREAD_ID: place.thread_id, **site.attributes_of(line)}
            if not free:
                self._waiting += 1
                record.attributes |= {
                    names.POOL_CAPACITY: int(seen.total_tokens),
                    names.POOL_IN_USE: int(seen.borrowed_tokens),
                    names.POOL_WAITING: int(seen.tasks_waiting),
                }
            self._book.open(record)
            return record
        return None

    def _got(self, record: OpenRecord, borrower: Any) -> None:
        with self._guard:
            if record.kind == names.WAIT:
                self._end_wait(record, "acquired")
                hold = self._book.mint(names.HOLD, names.THREADPOOL, record.place)
                hold.trace_id, hold.parent_id = record.trace_id, record.parent_id
                queue = (names.POOL_CAPACITY, names.POOL_IN_USE, names.POOL_WAITING)
                hold.attributes = {k: v for k, v in record.attributes.items() if k not in queue}
                self._book.open(hold)
                record = hold
            # The loop is where the token was taken; the work is in another thread.
            record.attributes.pop(names.THREAD_ID, None)
            self._holds[id(borrower)] = record

    def _gave_up(self, record: OpenRecord) -> None:
        with self._guard:
            if record.kind == names.WAIT:
                self._end_wait(record, "cancelled")
            else:
                self._book.close(record, "released", publish=False)

    def _end_wait(self, wait: OpenRecord, outcome: str) -> None:
        self._waiting -= 1
        self._last_wait_s = self._book.clock.monotonic_s()
        self._book.close(wait, outcome, publish=True)

    def _released(self, borrower: Any) -> None:
        with self._guard:
            hold = self._holds.pop(id(borrower), None)
            if hold is None:
                return
            lasted_s = hold.lasted_s(self._book.clock.monotonic_s())
            waited_for = self._last_wait_s >= hold.opened_s or self._waiting > 0
            publish = lasted_s > self._hold_after_s or waited_for
            self._book.close(hold, "released", publish=publish)


def _job() -> CodeLine | None:
    """Return the first line of the work that a thread is wanted for; None if it is for no thread.

    Read from anyio's frame: nobody else knows what the token is for.
    """
    frame: FrameType | None = site.calling_frame()
    for _ in range(_DEEPEST):
        if frame is None:
            return None
        if frame.f_code.co_name == _RUNS:
            known = frame.f_locals
            return job.first_line(known.get("func"), known.get("args") or ())
        frame = frame.f_back
    return None
