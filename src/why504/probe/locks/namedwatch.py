"""Waits and holds of the resources that the user names (`named.py`), as records.

What is taken and soon given back, and that nobody else wanted, leaves a note and no more. Records
are made of notes by the publisher's thread, once one has lasted or somebody had to wait meanwhile:
nobody who has a lock keeps it for longer because of us.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

from why504 import names
from why504.probe import site
from why504.probe.inflight import Place, Registry
from why504.probe.lean.current import span_context
from why504.probe.locks.named import LISTENING, Resource, forget_all
from why504.probe.running import task_in
from why504.probe.safety import Guard
from why504.probe.site import CodeLine
from why504.probe.telling.openrecord import OpenRecord, RecordBook

_OURS: Final = 2
"""Frames between us and the user's line at least: a method of ours and of the lock's wrapper."""
_FALSE_WAIT_S: Final = 0.001
"""A wait shorter than this met somebody who was just giving it back: nobody queued."""
UNTOLD_LIMIT: Final = 1000
"""Records that wait to be sent, five times a second; of more the latest are kept, and it counts."""


class Taken:
    """A note that somebody has a resource; times are monotonic seconds."""

    __slots__ = ("key", "line", "opened_s", "parent_id", "place", "record", "resource", "trace_id")

    def __init__(self, resource: str, key: int, place: Place, opened_s: float) -> None:
        self.resource = resource
        self.key = key
        self.place = place
        self.opened_s = opened_s
        self.line: CodeLine | None = None
        self.trace_id = 0
        """0 outside any request."""
        self.parent_id: int | None = None
        self.record: OpenRecord | None = None
        """Once it is told while it lasts."""


class NamedWatch:
    """Listens to every named resource of the process."""

    def __init__(
        self, book: RecordBook, registry: Registry, guard: Guard, *, hold_after_s: float
    ) -> None:
        self._book = book
        self._registry = registry
        self._errors = guard
        self._guard = guard.site("named resource")
        self._hold_after_s = hold_after_s
        self._telling = threading.Lock()
        self._fresh: dict[int, Taken] = {}
        """Notes of which no record was made, oldest first."""
        self._over: deque[tuple[OpenRecord | Taken, str, float]] = deque(maxlen=UNTOLD_LIMIT)
        """What ended and is to be told, how, and when (monotonic seconds)."""

    def attach(self) -> None:
        """Listen, unless another probe does."""
        if LISTENING.listener is None:
            LISTENING.listener = self

    def detach(self) -> None:
        """Listen no more; what is open stays untold from now on."""
        if LISTENING.listener is self:
            LISTENING.listener = None
            forget_all()
        self.tell()

    def forked(self) -> None:
        """Forget what is in the parent only."""
        forget_all()
        self._fresh.clear()
        self._over.clear()

    def tell(self) -> None:
        """Make records of what has lasted, and send those of what is over."""
        with self._telling:
            now_s = self._book.clock.monotonic_s()
            for taken in list(self._fresh.values()):
                if now_s - taken.opened_s < self._hold_after_s:
                    break
                with self._guard:
                    self._tell_while_it_lasts(taken)
            for _ in range(len(self._over)):
                thing, outcome, ended_s = self._over.popleft()
                with self._guard:
                    record = self._record(thing) if isinstance(thing, Taken) else thing
                    self._book.sender.send(record.final(outcome, ended_s))

    # --- what the wrappers say --------------------------------------------------------------------

    def asks(self, resource: Resource) -> OpenRecord | None:
        """Open a wait."""
        with self._guard:
            place = Place.here()
            wait = self._book.mint(names.WAIT, resource.full_name, place)
            self._registry.saw(place, wait.trace_id)
            wait.attributes = {
                names.THREAD_ID: place.thread_id,
                names.POOL_IN_USE: len(resource.holds),
                names.POOL_WAITING: len(resource.waits),
                **site.attributes_of(site.caller_line(_OURS)),
            }
            capacity = resource.capacity()
            if capacity:
                wait.attributes[names.POOL_CAPACITY] = capacity
            resource.waits[wait.span_id] = wait
            self._book.open(wait)
            return wait
        return None

    def waited(self, resource: Resource, wait: OpenRecord | None, outcome: str) -> None:
        """End a wait."""
        if wait is None:
            return
        with self._guard:
            resource.waits.pop(wait.span_id, None)
            lasted_s = self._book.close(wait, outcome, publish=False)
            if lasted_s > _FALSE_WAIT_S:
                resource.last_wait_s = wait.opened_s + lasted_s
                if wait.telling is None or not wait.telling.sequence:
                    self._end(wait, outcome, resource.last_wait_s)

    def took(self, resource: Resource, wait: OpenRecord | None, key: int | None) -> Taken | None:
        """Note a hold; of a signal there is none, whoever got it need give nothing back."""
        with self._guard:
            if resource.capacity() == 0:
                return None
            place = Place.here() if wait is None else wait.place
            if key is None:
                key = place.task_id or place.thread_id
            taken = Taken(resource.full_name, key, place, self._book.clock.monotonic_s())
            taken.line = site.caller_line(_OURS)
            if wait is not None:
                taken.trace_id, taken.parent_id = wait.trace_id, wait.parent_id
            else:
                context = span_context()
                if context.is_valid:
                    taken.trace_id, taken.parent_id = context.trace_id, context.span_id
                    self._registry.saw(place, taken.trace_id)
            resource.holds[id(taken)] = taken
            self._fresh[id(taken)] = taken
            return taken
        return None

    def returning(self, resource: Resource, key: int | None) -> Taken | None:
        """Take out the hold of a key; without one that of this task or thread, else the oldest."""
        with self._guard:
            holds: list[Taken] = list(resource.holds.values())
            if not holds:
                return None
            oldest = holds[0] if key is None else None
            if len(holds) == 1 and key is None:
                mine = oldest
            else:
                whose = _here() if key is None else key
                mine = next((hold for hold in reversed(holds) if hold.key == whose), oldest)
            return None if mine is None else resource.holds.pop(id(mine), None)
        return None

    def returned(self, resource: Resource, hold: Taken | None) -> None:
        """End a hold."""
        if hold is None:
            return
        with self._guard:
            resource.holds.pop(id(hold), None)
            if self._fresh.pop(id(hold), None) is None:
                if hold.record is not None:
                    self._book.close(hold.record, "released", publish=True)
                return
            now_s = self._book.clock.monotonic_s()
            lasted = now_s - hold.opened_s > self._hold_after_s
            if lasted or self._was_wanted(resource, hold.opened_s, now_s):
                self._end(hold, "released", now_s)

    def kept(self, resource: Resource, hold: Taken | None) -> None:
        """Put a hold back that could not be given back."""
        if hold is not None:
            resource.holds[id(hold)] = hold

    def lost(self, resource: Resource) -> None:
        """End every hold of a resource that is gone."""
        for hold in list(resource.holds.values()):
            self.returned(resource, hold)

    # --- from notes to records --------------------------------------------------------------------

    def _was_wanted(self, resource: Resource, since_s: float, now_s: float) -> bool:
        if resource.last_wait_s >= since_s:
            return True
        waits: list[OpenRecord] = list(resource.waits.values())
        return bool(waits) and waits[0].lasted_s(now_s) > _FALSE_WAIT_S

    def _end(self, thing: OpenRecord | Taken, outcome: str, ended_s: float) -> None:
        if len(self._over) == UNTOLD_LIMIT:
            self._errors.count("named resource: too many at once")
        self._over.append((thing, outcome, ended_s))

    def _tell_while_it_lasts(self, taken: Taken) -> None:
        taken.record = record = self._record(taken)
        self._book.open(record)
        # Whoever takes the note out is the one to end it: us from now on, or who gave it back.
        if self._fresh.pop(id(taken), None) is None:
            self._book.open_records.pop(record.span_id, None)

    def _record(self, taken: Taken) -> OpenRecord:
        record = self._book.mint(names.HOLD, taken.resource, taken.place)
        record.trace_id = taken.trace_id or self._book.ids.generate_trace_id()
        record.parent_id = taken.parent_id
        ago_s = record.opened_s - taken.opened_s
        record.start_ns, record.opened_s = record.start_ns - round(ago_s * 1e9), taken.opened_s
        record.attributes = {
            names.THREAD_ID: taken.place.thread_id,
            **site.attributes_of(taken.line),
        }
        return record


def _here() -> int:
    """Return what tells this task, or else this thread, from others."""
    thread_id = threading.get_ident()
    task = task_in(thread_id)
    return thread_id if task is None else id(task)
