"""What a suspended task waits for: the frames of its awaits, and the tasks that it waits for.

`Task.get_stack()` gives the outermost frame only, so awaits are followed here, through
asynchronous generators too. A task that waits for others stands in a library: what they wait for
is what it waits for. Looking runs nothing of the user's, and changes nothing.
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Iterator, Sequence
from operator import attrgetter
from types import AsyncGeneratorType, CellType, FrameType, FunctionType, MethodType
from typing import Any, Final, NamedTuple

from why504.probe.site import CodeLine, is_user_file, line_of
from why504.probe.still import STILL

_WALK_LIMIT: Final = 400
_TASKS_LIMIT: Final = 20
_FUTURES_DEEP: Final = 4
_TASK_PACKAGES: Final = (f"{os.sep}asyncio", os.path.join(f"{os.sep}anyio", "_backends"))
_HOSTS: Final = {
    "asyncio.taskgroups": attrgetter("_parent_task"),
    "anyio._backends._asyncio": attrgetter("cancel_scope._host_task"),
}
"""Module of a `TaskGroup` -> how it tells the task that entered it."""


class Await(NamedTuple):
    """One step of a chain of awaits."""

    frame: FrameType
    runs: object
    """The coroutine or generator whose frame it is."""


def task_lines(task: asyncio.Task[Any]) -> list[CodeLine]:
    """Return the lines at which a suspended task waits, innermost first.

    Where it waits for other tasks (`gather`, `shield`, `TaskGroup`, one that it awaits), those of
    the first in which there is a line of the user's are the innermost.
    """
    with STILL:
        return _lines(task, set())[::-1]


def frames(task: asyncio.Task[Any]) -> list[FrameType]:
    """Return the frames of a suspended task's own awaits, innermost first."""
    with STILL:
        return [step.frame for step in _awaits(task.get_coro())][::-1]


def with_awaited(task: asyncio.Task[Any]) -> list[asyncio.Task[Any]]:
    """Return a task and those that it waits for, they too, at most twenty."""
    found = [task]
    with STILL:
        for one in found:
            for other in _awaited(one, list(_awaits(one.get_coro()))):
                if len(found) >= _TASKS_LIMIT:
                    return found
                if other not in found:
                    found.append(other)
    return found


def _lines(task: asyncio.Task[Any], seen: set[int]) -> list[CodeLine]:
    """Return the lines of a task and of what it waits for, outermost first."""
    seen.add(id(task))
    steps = list(_awaits(task.get_coro()))
    inside: list[CodeLine] = []
    for other in _awaited(task, steps):
        if len(seen) >= _TASKS_LIMIT:
            break
        if id(other) in seen:
            continue
        lines = _lines(other, seen)
        if any(is_user_file(line.file) for line in lines):
            inside = lines
            break
        inside = inside or lines
    return [*(line_of(step.frame) for step in steps), *inside]


def _awaits(awaited: Any) -> Iterator[Await]:
    """Yield the steps of a chain of awaits, outermost first."""
    for _ in range(_WALK_LIMIT):
        if awaited is None:
            return
        frame = _first(awaited, "cr_frame", "gi_frame", "ag_frame")
        if frame is not None:
            yield Await(frame, awaited)
        deeper = _first(awaited, "cr_await", "gi_yieldfrom", "ag_await")
        if deeper is None and type(awaited).__name__.startswith("async_generator_"):
            # What an `async for` awaits does not tell its generator; the garbage collector knows.
            referred = gc.get_referents(awaited)
            deeper = next((one for one in referred if isinstance(one, AsyncGeneratorType)), None)
        awaited = deeper


def _awaited(task: asyncio.Task[Any], steps: Sequence[Await]) -> Iterator[asyncio.Task[Any]]:
    """Yield the tasks that another one waits for and that have not ended."""
    found: list[Any] = [getattr(task, "_fut_waiter", None)]
    # TaskGroups, wait() and wait_for() wait for a future of their own, and know for whose sake.
    if steps and os.path.dirname(steps[-1].frame.f_code.co_filename).endswith(_TASK_PACKAGES):
        known = steps[-1].frame.f_locals
        found += [known.get("fut"), *(known.get("fs") or ())]
        found += getattr(known.get("self"), "_tasks", ())
    for group in _groups(task, steps):
        found += group._tasks
    for future in found:
        for one in _behind(future, _FUTURES_DEEP):
            if one is not task and not one.done():
                yield one


def _groups(task: asyncio.Task[Any], steps: Sequence[Await]) -> Iterator[Any]:
    """Yield the groups that a library has entered for the user's innermost line, innermost first.

    It may stand elsewhere than at their end: a streamed response listens for the client in the
    request's own task, and what the client is sent comes from a task in the group.
    """
    for step in reversed(steps):
        if is_user_file(step.frame.f_code.co_filename):
            return
        for value in map(_content, gc.get_referents(step.runs)):
            kind = type(value)
            host = _HOSTS.get(kind.__module__) if kind.__name__ == "TaskGroup" else None
            if host is not None and host(value) is task:
                yield value


def _content(value: Any) -> Any:
    """Return what a frame knows: in a cell what is in it, of a bound method whose it is."""
    if isinstance(value, MethodType):
        return value.__self__
    try:
        return value.cell_contents if isinstance(value, CellType) else value
    except ValueError:  # nothing is in it yet
        return None


def _behind(future: Any, deep: int) -> Iterator[asyncio.Task[Any]]:
    """Yield the tasks that a future stands for: itself, those of `gather`, the one of `shield`."""
    if isinstance(future, asyncio.Task):
        yield future
    elif deep and isinstance(future, asyncio.Future):
        for inner in (*getattr(future, "_children", ()), *_shielded(future)):
            yield from _behind(inner, deep - 1)


def _shielded(future: asyncio.Future[Any]) -> Iterator[Any]:
    """Yield what only the callbacks of a future know: `shield` has what it shields in a closure."""
    for callback, _ in tuple(getattr(future, "_callbacks", None) or ()):
        if isinstance(callback, FunctionType) and callback.__module__ == asyncio.tasks.__name__:
            yield from map(_content, callback.__closure__ or ())


def _first(thing: object, *attributes: str) -> Any:
    for attribute in attributes:
        value = getattr(thing, attribute, None)
        if value is not None:
            return value
    return None
