"""Locks that nobody named: which one a stuck thread or task stands before, and who is inside.

Looked for only while a request is open for long, and by looking only: the locks themselves are
never touched, so a service without trouble pays nothing. What can be told is what `with` blocks
tell (`withblocks.py`), and of an RLock its owner; a lock that somebody took by `acquire()` and
left is waited for, and nobody is known to have it.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import FrameType
from typing import Any, Final, NamedTuple

from why504 import names
from why504.probe import site, suspended
from why504.probe.inflight import Place
from why504.probe.locks import withblocks
from why504.probe.locks.withblocks import Expression
from why504.probe.locks.wrapped import Wrapper
from why504.probe.site import CodeLine
from why504.probe.still import STILL

_LOCKS: Final = (type(threading.Lock()), type(threading.RLock()))
_OWNER: Final = re.compile(r"owner=(\d+)")
_ASYNC: Final = (asyncio.Lock, asyncio.Semaphore)
_ASYNC_ACQUIRES: Final = frozenset(each.acquire.__code__ for each in _ASYNC)
_SEMAPHORE_ACQUIRE: Final = threading.Semaphore.acquire.__code__
_OWN_AFFAIRS: Final = (threading.__file__, asyncio.locks.__file__)
"""Modules that are made of locks: what waits in there waits for something else."""
_HERE: Final = os.path.dirname(os.path.abspath(__file__)) + os.sep
_DEEPEST: Final = 200
THREAD: Final = "thread"
LOOP: Final = "loop"
TASK: Final = "task"


class Worker(NamedTuple):
    """A thread or a task, and its frames, innermost first."""

    place: Place
    frames: Sequence[FrameType]
    kind: str
    """thread, loop (its thread, and the task that runs there) or task (one that awaits)."""

    @property
    def key(self) -> tuple[int, int]:
        """Return what tells it from all others that are there now."""
        return self.place.thread_id, self.place.task_id


class Wanted(NamedTuple):
    """Somebody stands before a lock."""

    worker: Worker
    lock: Any
    name: str
    line: CodeLine | None


class Inside(NamedTuple):
    """Somebody is inside a `with` block on a lock, or is known to have it."""

    worker: Worker
    lock: Any
    line: CodeLine | None


def threads(loops: Iterable[tuple[asyncio.AbstractEventLoop, int]]) -> list[Worker]:
    """Return all threads; that of a loop is the task which runs there, and may block the loop."""
    with STILL:
        runs = {thread_id: asyncio.current_task(loop) for loop, thread_id in loops}
        return [
            Worker(
                Place(runs.get(thread_id), thread_id),
                list(_outwards(frame)),
                LOOP if thread_id in runs else THREAD,
            )
            for thread_id, frame in sys._current_frames().items()
        ]


def task(which: asyncio.Task[Any], thread_id: int) -> Worker:
    """Return a suspended task."""
    return Worker(Place(which, thread_id), suspended.frames(which), TASK)


def wants(worker: Worker) -> Wanted | None:
    """Return the lock that somebody stands before, if it is taken and nobody named it."""
    with STILL:
        found = _in_task(worker) if worker.kind == TASK else _in_thread(worker)
    if found is None:
        return None
    number, lock, expression = found
    if not _is_taken(lock):
        return None
    frames = worker.frames[number:]
    name = _named(lock, expression, frames[0] if frames else None)
    return Wanted(worker, lock, name, site.user_line(_lines(frames)))


def have(worker: Worker, locks: Callable[[Any], bool]) -> Iterator[Inside]:
    """Yield which of these locks somebody has; of each the outermost block counts."""
    found: dict[int, Inside] = {}
    with STILL:
        for number, frame in enumerate(worker.frames):
            for block, value in withblocks.inside(frame):
                if locks(value):
                    line = CodeLine(frame.f_code.co_filename, block.line, frame.f_code.co_qualname)
                    users = site.user_line([line, *_lines(worker.frames[number + 1 :])])
                    found[id(value)] = Inside(worker, value, users)
    yield from found.values()


def owner_of(lock: Any) -> int | None:
    """Return the thread that has an RLock; None of other locks, which do not tell."""
    told = _OWNER.search(repr(lock)) if isinstance(lock, _LOCKS[1]) else None
    return int(told[1]) or None if told else None


def _in_thread(worker: Worker) -> tuple[int, Any, Expression | None] | None:
    """Return the number of the frame that waits, for what, and how it is written there."""
    for number, frame in enumerate(worker.frames):
        if frame.f_code is _SEMAPHORE_ACQUIRE:
            return _wanted_by(worker, number, frame.f_locals.get("self"))
        if frame.f_code.co_filename in _OWN_AFFAIRS:
            continue
        found = withblocks.wanted(frame) if number == 0 and not _is_ours(frame) else None
        return (number, found[1], found[0]) if found else None
    return None


def _in_task(worker: Worker) -> tuple[int, Any, Expression | None] | None:
    for number, frame in enumerate(worker.frames):
        if frame.f_code in _ASYNC_ACQUIRES:
            return _wanted_by(worker, number, frame.f_locals.get("self"))
    return None


def _wanted_by(worker: Worker, number: int, lock: Any) -> tuple[int, Any, Expression | None] | None:
    """Return who called `acquire`; None for a lock that the user named: its wrapper tells of it."""
    for outer in range(number + 1, len(worker.frames)):
        frame = worker.frames[outer]
        if frame.f_code.co_filename not in _OWN_AFFAIRS:
            found = withblocks.wanted(frame)
            return None if _is_ours(frame) else (outer, lock, found[0] if found else None)
    return None


def _is_ours(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(_HERE)


def _is_taken(lock: Any) -> bool:
    if isinstance(lock, Wrapper):
        return False  # it has a name, and tells of itself
    if isinstance(lock, threading.Semaphore):
        return lock._value == 0
    if isinstance(lock, _LOCKS[1]):
        return owner_of(lock) is not None
    return isinstance(lock, (_LOCKS[0], *_ASYNC)) and bool(lock.locked())


def _named(lock: Any, expression: Expression | None, frame: FrameType | None) -> str:
    """Return a resource's name: by class or module and attribute, as people know it."""
    own = "lock" if expression is None else str(expression)
    if expression is not None and frame is not None:
        where = frame.f_globals.get("__name__", "")
        class_name = frame.f_code.co_qualname.rpartition(".")[0].rpartition(".")[2]
        own = re.sub(r"^(self|cls)\.", f"{class_name}." if class_name else "", own)
        own = own if "." in own else f"{where}.{own}"
    of_several = isinstance(lock, (threading.Semaphore, asyncio.Semaphore))
    return names.limiter(own) if of_several else names.lock(own)


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    for _ in range(_DEEPEST):
        if frame is None:
            return
        yield frame
        frame = frame.f_back


def _lines(frames: Sequence[FrameType]) -> list[CodeLine]:
    return [CodeLine(f.f_code.co_filename, f.f_lineno or 0, f.f_code.co_qualname) for f in frames]
