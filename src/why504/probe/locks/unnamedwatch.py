"""Waits and holds of locks that nobody named (`unnamed.py`), as records, while requests hang."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from opentelemetry.util.types import AttributeValue

from why504 import names
from why504.probe import site, suspended
from why504.probe.activity import Activity
from why504.probe.inflight import OpenSpan, Place, Registry
from why504.probe.locks import unnamed
from why504.probe.locks.unnamed import THREAD, Inside, Wanted, Worker
from why504.probe.safety import Guard
from why504.probe.site import CodeLine
from why504.probe.still import STILL
from why504.probe.telling.openrecord import OpenRecord, RecordBook

EVERY_S: Final = 0.5
LONGEST_S: Final = 10.0
"""While nothing changes the looks become rarer, each by half, down to one in so many seconds."""
OLD_S: Final = 0.5
"""Nothing is looked at while no request is open for longer."""
MOST_TASKS: Final = 1000
"""So many tasks are looked at in one round, the oldest requests' first."""
_MOST_NAMES: Final = 1000
_REST: Final = 50
"""A look may take a fiftieth of the time until the next."""

Key = tuple[str, int, int, int]
"""Kind, id of the lock, thread, task."""
Loops = Callable[[], list[tuple[asyncio.AbstractEventLoop, int]]]


class UnnamedWatch:
    """Looks twice a second at who stands before a lock; what is seen twice is told."""

    def __init__(self, book: RecordBook, registry: Registry, loops: Loops, guard: Guard) -> None:
        self._book = book
        self._registry = registry
        self._loops = loops
        self._guard = guard.site("unnamed lock")
        self._due_s = float("-inf")
        self._pause_s = EVERY_S
        self._next_s = float("-inf")
        self._known: frozenset[int] = frozenset()
        """Spans that were open for long at the last look."""
        self._first: dict[Key, OpenRecord] = {}
        """What was seen once; open records of a book are seen twice."""
        self._open: dict[Key, OpenRecord] = {}
        self._numbers: dict[str, dict[int, int]] = {}
        """Name -> id of a lock -> which of that name it is."""

    def look(self) -> None:
        """Look, if it is time and somebody is open for long enough."""
        now_s = self._book.clock.monotonic_s()
        if now_s < self._due_s:
            return
        self._due_s = now_s + EVERY_S
        with self._guard:
            old = [s for s in list(self._registry.spans.values()) if now_s - s.opened_s > OLD_S]
            self._look_at(old, now_s)

    def _look_at(self, old: list[OpenSpan], now_s: float) -> None:
        known = frozenset(each.span_id for each in old)
        if known != self._known:
            self._known, self._pause_s, self._next_s = known, EVERY_S, now_s
        if now_s < self._next_s:
            return
        begun_s = time.thread_time()
        seen = self._seen(old) if old else {}
        changed = seen.keys() != self._first.keys()
        self._note(seen)
        self._pause_s = EVERY_S if changed else min(self._pause_s * 1.5, LONGEST_S)
        # Of many requests a look takes more of a core: then there are fewer.
        took_s = time.thread_time() - begun_s
        self._next_s = now_s + max(self._pause_s, min(took_s * _REST, LONGEST_S))

    def forked(self) -> None:
        """Forget what is in the parent only."""
        self._first.clear()
        self._open.clear()

    def _seen(self, old: list[OpenSpan]) -> dict[Key, OpenRecord]:
        with STILL:
            loops = self._loops()
            activity = Activity(self._registry, loops)
            threads = unnamed.threads(loops)
            tasks = _tasks(old)
            wanted = [w for each in (*threads, *tasks) if (w := unnamed.wants(each))]
            if not wanted:
                return {}
            locks = {id(each.lock): each for each in wanted}
            if any(each.worker.kind != THREAD for each in wanted):
                tasks = _all_tasks(loops, tasks)
            inside = _inside([*threads, *tasks], locks)
            whose = _Whose(activity, self._registry)
            seen = {_key(names.WAIT, w): self._wait(w, whose) for w in wanted}
            return seen | {
                _key(names.HOLD, each): self._hold(each, locks[id(each.lock)], whose)
                for each in inside
            }

    def _note(self, seen: dict[Key, OpenRecord]) -> None:
        """Tell what is there for the second time, end what is gone."""
        for key in [key for key in self._open if key not in seen]:
            record = self._open.pop(key)
            outcome = "acquired" if record.kind == names.WAIT else "released"
            self._book.close(record, outcome, publish=True)
        for key in seen.keys() & self._first.keys():
            if key not in self._open:
                self._open[key] = self._first[key]
                self._book.open(self._first[key])
        self._first = {key: self._first.get(key, record) for key, record in seen.items()}

    def _wait(self, wanted: Wanted, whose: _Whose) -> OpenRecord:
        return self._record(names.WAIT, self._resource(wanted), wanted.worker, wanted.line, whose)

    def _hold(self, inside: Inside, wanted: Wanted, whose: _Whose) -> OpenRecord:
        return self._record(names.HOLD, self._resource(wanted), inside.worker, inside.line, whose)

    def _record(
        self, kind: str, resource: str, worker: Worker, line: CodeLine | None, whose: _Whose
    ) -> OpenRecord:
        place = worker.place
        entry = whose.entry(place)
        record = self._book.mint(kind, resource, place)
        record.trace_id = entry.trace_id if entry else record.trace_id
        record.parent_id = entry.span_id if entry else None
        record.first_told_s = 0.0
        told: dict[str, AttributeValue] = {names.THREAD_ID: place.thread_id}
        record.attributes = {**told, **site.attributes_of(line)}
        return record

    def _resource(self, wanted: Wanted) -> str:
        """Return a name that no other lock has: those of one class are numbered."""
        if len(self._numbers) > _MOST_NAMES:
            self._numbers.clear()
        known = self._numbers.setdefault(wanted.name, {})
        if len(known) > _MOST_NAMES:
            known.clear()
        number = known.setdefault(id(wanted.lock), len(known) + 1)
        return wanted.name if number == 1 else f"{wanted.name}#{number}"


class _Whose:
    """For which open request a thread or a task works."""

    def __init__(self, activity: Activity, registry: Registry) -> None:
        self._registry = registry
        self._by_thread: dict[int, OpenSpan] = {}
        for entry in sorted(list(registry.spans.values()), key=lambda each: each.opened_s):
            thread_id = activity.worker(entry.trace_id)
            if thread_id is not None:
                self._by_thread.setdefault(thread_id, entry)

    def entry(self, place: Place) -> OpenSpan | None:
        task = place.task()
        if task is not None:
            return self._registry.innermost(task)
        return self._by_thread.get(place.thread_id)


def _key(kind: str, seen: Wanted | Inside) -> Key:
    return kind, id(seen.lock), *seen.worker.key


def _tasks(old: list[OpenSpan]) -> list[Worker]:
    """Return the tasks of open requests and those that they wait for, the oldest first."""
    found: dict[int, Worker] = {}
    for entry in sorted(old, key=lambda each: each.opened_s):
        task = entry.place.task()
        if task is None or task.done() or id(task) in found or len(found) >= MOST_TASKS:
            continue
        for one in suspended.with_awaited(task):
            found.setdefault(id(one), unnamed.task(one, entry.place.thread_id))
    return list(found.values())


def _all_tasks(
    loops: Iterable[tuple[asyncio.AbstractEventLoop, int]], known: list[Worker]
) -> list[Worker]:
    """Return the known tasks and the others of all loops: who has a lock need be no request."""
    found = {worker.place.task_id: worker for worker in known}
    for loop, thread_id in loops:
        for task in asyncio.all_tasks(loop):
            if id(task) not in found and len(found) < MOST_TASKS:
                found[id(task)] = unnamed.task(task, thread_id)
    return list(found.values())


def _inside(workers: list[Worker], locks: dict[int, Any]) -> list[Inside]:
    """Return who has any of these locks."""
    found = [
        inside
        for worker in workers
        for inside in unnamed.have(worker, lambda value: id(value) in locks)
    ]
    told = {id(inside.lock) for inside in found}
    by_thread = {worker.place.thread_id: worker for worker in workers if worker.kind == THREAD}
    for key, wanted in locks.items():
        owner = None if key in told else by_thread.get(unnamed.owner_of(wanted.lock) or 0)
        if owner is not None:
            found.append(Inside(owner, wanted.lock, None))
    return found
