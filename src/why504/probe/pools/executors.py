"""Executors of `concurrent.futures` whose threads are all busy: whose work is queued, whose runs.

`asyncio.to_thread`, `run_in_executor(None, ...)` and a loop's `getaddrinfo` share one: work that
never ends there keeps names from being looked up. While a thread is free two numbers are compared
and nothing more. Once none is, what a request hands over is a wait until it begins, and after that
a hold. What had begun before is found by looking at the threads, while somebody waits.
"""

from __future__ import annotations

import functools
import sys
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import get_ident
from types import FrameType
from typing import Any, Final, NamedTuple

from why504 import names
from why504.probe import job, site
from why504.probe.activity import Activity
from why504.probe.inflight import REQUEST, OpenSpan, Place
from why504.probe.kit import Kit, Patches, free_name
from why504.probe.site import CodeLine
from why504.probe.still import STILL
from why504.probe.telling.openrecord import OpenRecord

EVERY_S: Final = 0.25
"""So often threads are looked at while somebody has waited for as long."""
_MOST_WAITS: Final = 1_000
"""Told at once of one executor; how many are queued is told besides."""
_SHORT_S: Final = 0.05
"""A shorter wait was for a thread that had just done its work."""
_DEEPEST: Final = 400
_UNNAMED: Final = "ThreadPoolExecutor-"


class _Running(NamedTuple):
    """What a thread does, and the work by which it is known; None where the work tells its end."""

    hold: OpenRecord
    work: weakref.ref[Any] | None


@dataclass(slots=True)
class _Queue:
    """Of one executor."""

    executor: Callable[[], Any]
    """Returns it, None once it is gone."""
    resource: str
    waits: dict[int, OpenRecord] = field(default_factory=dict)
    """Span id of a request -> the first of its work that is queued."""
    running: dict[int, _Running] = field(default_factory=dict)
    """Thread -> what it does."""
    looked_s: float = float("-inf")
    looked_ns: int = 0

    def oldest(self) -> OpenRecord | None:
        return min(list(self.waits.values()), key=lambda wait: wait.opened_s, default=None)


class ExecutorWatch:
    """Tells who waits for a thread of an executor, and who has them."""

    def __init__(self, kit: Kit) -> None:
        self.book = kit.book
        self.registry = kit.registry
        self.guard = kit.guard.site("executor")
        self.hold_after_s = kit.hold_after_s
        self.lock = threading.RLock()
        self._queues: dict[int, _Queue] = {}
        """Of executors that were once full, by their ids."""
        self._due_s = float("-inf")
        self._patches = Patches()

    def attach(self) -> None:
        """Wrap how work is handed over, once; does nothing before the module is imported."""
        futures = sys.modules.get("concurrent.futures.thread")
        if not self._patches and futures is not None:
            self._patches.wrap(futures.ThreadPoolExecutor, "submit", self._watched)

    def detach(self) -> None:
        """Give executors their own method back."""
        self._patches.undo()

    def forked(self) -> None:
        """Forget what is in the parent: none of its threads is here."""
        self.lock = threading.RLock()
        self._queues = {}

    def tell(self) -> None:
        """Look who has the threads that somebody waits for; cheap while nobody does."""
        now_s = self.book.clock.monotonic_s()
        if now_s < self._due_s or not self._queues:
            return
        self._due_s = now_s + EVERY_S
        with self.guard:
            for key, queue in list(self._queues.items()):
                executor, oldest = queue.executor(), queue.oldest()
                if executor is None:
                    self._forget(key, queue)
                elif queue.running or (oldest is not None and oldest.lasted_s(now_s) >= EVERY_S):
                    self._look_at(executor, queue, oldest)
                    queue.looked_s, queue.looked_ns = now_s, self.book.clock.wall_ns()

    def _watched(self, submit: Any) -> Any:
        @functools.wraps(submit)
        def watched(this: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            queued = self._queued(this, fn) if _is_full(this) else None
            if queued is None:
                return submit(this, fn, *args, **kwargs)
            try:
                future = submit(this, queued, *args, **kwargs)
            except BaseException:
                queued.gave_up()
                raise
            # Of what is cancelled before it begins nobody hears else.
            future.add_done_callback(queued.gave_up)
            return future

        return watched

    def _queued(self, executor: Any, fn: Any) -> _Queued | None:
        """Return work that tells how long it is queued; None for what is not to be told."""
        entry = REQUEST.get()
        if entry is None or entry.span_id not in self.registry.spans:
            return None
        with self.guard:
            queue = self._queue_of(executor)
            if entry.span_id in queue.waits or len(queue.waits) >= _MOST_WAITS:
                return None
            wait = self.book.mint(names.WAIT, queue.resource, Place.here())
            wait.attributes = {
                names.THREAD_ID: wait.place.thread_id,
                names.POOL_CAPACITY: executor._max_workers,
                names.POOL_IN_USE: len(executor._threads),
                names.POOL_WAITING: executor._work_queue.qsize(),
                **site.caller_attributes(2),
            }
            queue.waits[entry.span_id] = wait
            self.book.open(wait)
            return _Queued(fn, entry, queue, wait, self)
        return None

    def _queue_of(self, executor: Any) -> _Queue:
        with self.lock:
            queue = self._queues.get(id(executor))
            if queue is not None and queue.executor() is not executor:
                self._forget(id(executor), queue)  # its id was given to another one
                queue = None
            if queue is None:
                name = getattr(executor, "_thread_name_prefix", "")
                name = "executor" if not name or name.startswith(_UNNAMED) else name
                known = {each.resource for each in self._queues.values()}
                resource = free_name(names.threads(name), known)
                queue = self._queues[id(executor)] = _Queue(weakref.ref(executor), resource)
            return queue

    def _forget(self, key: int, queue: _Queue) -> None:
        """End what was open of an executor that is gone: nobody has a thread of it."""
        with self.lock:
            if self._queues.get(key) is queue:
                del self._queues[key]
        for running in list(queue.running.values()):
            if running.work is not None:
                self.book.close(running.hold, "released", publish=True)

    def _look_at(self, executor: Any, queue: _Queue, oldest: OpenRecord | None) -> None:
        with STILL:
            frames = sys._current_frames()
            threads = [thread.ident or 0 for thread in tuple(executor._threads)]
            working = {each: _work_in(frames.get(each)) for each in threads}
        del frames
        for thread_id, (hold, work) in list(queue.running.items()):
            found = working.get(thread_id)
            if work is not None and (found is None or found.work() is not work()):
                queue.running.pop(thread_id, None)
                self.book.close(hold, "released", publish=True)
        if oldest is None:
            return
        activity = Activity(self.registry, ())
        for thread_id, found in working.items():
            if found is not None and thread_id not in queue.running:
                hold = self._found(queue, oldest, thread_id, activity.trace_in(thread_id))
                hold.attributes |= site.attributes_of(found.line)
                with self.lock:
                    if queue.running.setdefault(thread_id, _Running(hold, found.work))[0] is hold:
                        self.book.open(hold)

    def _found(
        self, queue: _Queue, oldest: OpenRecord, thread_id: int, trace_id: int | None
    ) -> OpenRecord:
        """Return the hold of work that nobody told of."""
        hold = self.book.mint(names.HOLD, queue.resource, Place(None, thread_id))
        spans = list(self.registry.spans.values())
        entry = next((span for span in spans if span.trace_id == trace_id), None)
        if entry is not None:
            hold.trace_id, hold.parent_id = entry.trace_id, entry.span_id
        # Work begins in the order in which it came: this had begun when the oldest that is queued
        # came, or else since the last look.
        hold.opened_s = max(oldest.opened_s, queue.looked_s)
        hold.start_ns = max(oldest.start_ns, queue.looked_ns)
        hold.first_told_s = 0.0
        hold.attributes = {names.THREAD_ID: thread_id}
        return hold


class _Queued:
    """Work of a request that no thread was free for."""

    __slots__ = ("__wrapped__", "_entry", "_queue", "_wait", "_watch")

    def __init__(
        self,
        function: Callable[..., Any],
        entry: OpenSpan,
        queue: _Queue,
        wait: OpenRecord,
        watch: ExecutorWatch,
    ) -> None:
        self.__wrapped__ = function
        self._entry = entry
        self._queue = queue
        self._wait = wait
        self._watch = watch

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Do it: a thread is free now."""
        guard = self._watch.guard
        with guard:
            self._begin()
        # Whoever keeps the future keeps this, and is not to keep what was worked with.
        function, self.__wrapped__ = self.__wrapped__, _over
        try:
            return function(*args, **kwargs)
        finally:
            with guard:
                self._end()

    def gave_up(self, _: object = None) -> None:
        """Note that it will not be done, if it has not begun."""
        self.__wrapped__ = _over
        with self._watch.guard:
            self._end_wait("cancelled")

    def _end_wait(self, outcome: str) -> None:
        wait, book = self._wait, self._watch.book
        if self._queue.waits.get(self._entry.span_id) is wait:
            del self._queue.waits[self._entry.span_id]
            lasted_s = wait.lasted_s(book.clock.monotonic_s())
            book.close(wait, outcome, publish=lasted_s > _SHORT_S)

    def _begin(self) -> None:
        self._end_wait("acquired")
        here, book = Place(None, get_ident()), self._watch.book
        self._watch.registry.saw(here, self._wait.trace_id)
        hold = book.mint(names.HOLD, self._wait.resource, here)
        hold.trace_id, hold.parent_id = self._wait.trace_id, self._wait.parent_id
        line = job.first_line(self.__wrapped__)
        hold.attributes = {names.THREAD_ID: here.thread_id, **site.attributes_of(line)}
        running = self._queue.running
        with self._watch.lock:
            before = running.get(here.thread_id)
            if before is not None:  # what the last look found here has just ended
                book.close(before.hold, "released", publish=True)
            running[here.thread_id] = _Running(hold, None)
            book.open(hold)

    def _end(self) -> None:
        running = self._queue.running.pop(get_ident(), None)
        if running is not None:
            book, hold = self._watch.book, running.hold
            long = hold.lasted_s(book.clock.monotonic_s()) > self._watch.hold_after_s
            book.close(hold, "released", publish=long)
        self._watch.registry.saw(Place(None, get_ident()), 0)


def _over() -> None:
    """Stand for work that has been done, or never will."""


class _Work(NamedTuple):
    """What a thread of an executor does."""

    work: weakref.ref[Any]
    line: CodeLine | None
    """The first of the user's outermost function."""


def _is_full(executor: Any) -> bool:
    """Return whether no thread is free and none may be started."""
    try:
        return (
            not executor._idle_semaphore._value and len(executor._threads) >= executor._max_workers
        )
    except AttributeError:  # somebody's own, or a Python that we do not know
        return False


def _work_in(frame: FrameType | None) -> _Work | None:
    """Return the work that a thread does; None where it does none, or one that tells itself."""
    line = None
    for _ in range(_DEEPEST):
        if frame is None or frame.f_code is _Queued.__call__.__code__:
            return None
        code = frame.f_code
        if code.co_name == "run" and code.co_filename.endswith("concurrent/futures/thread.py"):
            work = frame.f_locals.get("self")
            return None if work is None else _Work(weakref.ref(work), line)
        if site.is_user_file(code.co_filename):
            line = job.line_of_code(code)
        frame = frame.f_back
    return None
