"""Which line of the user's code is running or waiting: frames of threads, greenlets and tasks.

`Task.get_stack()` gives the outermost frame of a suspended task only, so its awaits are followed
here. The user's frame is the innermost one outside the standard library, installed packages and
why504 itself.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from types import AsyncGeneratorType, CodeType, FrameType
from typing import Any, Final, NamedTuple

import why504
from why504 import names
from why504.probe.still import STILL

STACK_LINES: Final = 40
_WALK_LIMIT: Final = 400
_TASKS_LIMIT: Final = 20
_TASK_PACKAGES: Final = (f"{os.sep}asyncio", os.path.join(f"{os.sep}anyio", "_backends"))
_HERE: Final = os.path.dirname(os.path.abspath(why504.__file__)) + os.sep
_CARRIED: Final = _HERE + "_stack" + os.sep
"""Applications that the wheel carries as data: to the probe they are users like any other."""


class CodeLine(NamedTuple):
    """A line of code as the interpreter knows it; `file` is absolute."""

    file: str
    line: int
    function: str


def current_lines() -> Iterator[CodeLine]:
    """Yield the lines of the caller, innermost first, across greenlets."""
    frame: FrameType | None = sys._getframe(1)
    yield from _frames(frame)
    yield from _greenlet_parents()


def calling_frame() -> FrameType | None:
    """Return the frame of whoever called the caller."""
    return sys._getframe(2)


def caller_attributes(passed_over: int) -> Mapping[str, str | int]:
    """Return `code.*` of the user's innermost line that led to the caller; not to be changed."""
    return _attributes(caller_line(passed_over + 1))


def caller_line(passed_over: int) -> CodeLine | None:
    """Return the user's innermost line that led to the caller; quick where that is near.

    `passed_over` frames, the caller's among them, are known to be no user's.
    """
    frame: Any = sys._getframe(1 + passed_over)
    theirs = _THEIRS
    try:
        while id(frame.f_code) in theirs or not _is_users(frame.f_code):
            frame = frame.f_back
    except AttributeError:  # around the outermost frame there is none
        return user_line(_greenlet_parents())
    return _line(frame)


# By identity: the hash of code is computed from all of its constants, each time.
_THEIRS: Final[dict[int, CodeType]] = {}
"""Functions of libraries that were met on a stack; kept, so that no other gets their identity."""
_MOST_MET: Final = 8192


def _is_users(code: CodeType) -> bool:
    if is_user_file(code.co_filename):
        return True
    if len(_THEIRS) >= _MOST_MET:
        _THEIRS.clear()
    _THEIRS[id(code)] = code
    return False


def thread_lines(frame: FrameType | None) -> list[CodeLine]:
    """Return the lines of another thread, innermost first, from `sys._current_frames()`."""
    with STILL:
        return list(_frames(frame))


def task_lines(task: asyncio.Task[Any]) -> list[CodeLine]:
    """Return the lines at which a suspended task waits, innermost first.

    Where it waits for other tasks (`gather`, `TaskGroup`, one that it awaits), those of the first
    that has not ended are the innermost.
    """
    lines: list[CodeLine] = []
    seen: set[int] = set()
    waiting: asyncio.Task[Any] | None = task
    with STILL:
        while waiting is not None and id(waiting) not in seen and len(seen) < _TASKS_LIMIT:
            seen.add(id(waiting))
            frames = list(_awaiting(waiting.get_coro()))
            lines.extend(_line(frame) for frame in frames)
            waiting = _awaited_task(waiting, frames)
    return lines[::-1]


def _awaiting(awaited: Any) -> Iterator[FrameType]:
    """Yield the frames of a chain of awaits, outermost first."""
    for _ in range(_WALK_LIMIT):
        if awaited is None:
            return
        frame = _first(awaited, "cr_frame", "gi_frame", "ag_frame")
        if frame is not None:
            yield frame
        deeper = _first(awaited, "cr_await", "gi_yieldfrom", "ag_await")
        if deeper is None and type(awaited).__name__.startswith("async_generator_"):
            # What an `async for` awaits does not tell its generator; the garbage collector knows.
            referred = gc.get_referents(awaited)
            deeper = next((one for one in referred if isinstance(one, AsyncGeneratorType)), None)
        awaited = deeper


def _awaited_task(task: asyncio.Task[Any], frames: Sequence[FrameType]) -> asyncio.Task[Any] | None:
    """Return the task that another one waits for, the first of several that has not ended."""
    future = getattr(task, "_fut_waiter", None)
    found: list[Any] = [future, *getattr(future, "_children", ())]
    # TaskGroups, wait() and wait_for() wait for a future of their own, and know for whose sake.
    if frames and os.path.dirname(frames[-1].f_code.co_filename).endswith(_TASK_PACKAGES):
        known = frames[-1].f_locals
        found += [known.get("fut"), *(known.get("fs") or ())]
        found += getattr(known.get("self"), "_tasks", ())
    tasks = (one for one in found if isinstance(one, asyncio.Task) and one is not task)
    return next((one for one in tasks if not one.done()), None)


def user_line(lines: Sequence[CodeLine] | Iterator[CodeLine]) -> CodeLine | None:
    """Return the user's innermost line, or None where only libraries are on the stack."""
    return next((line for line in lines if is_user_file(line.file)), None)


def attributes_of(line: CodeLine | None) -> dict[str, str | int]:
    """Return `code.*` of a line, the path relative to the working directory where possible."""
    if line is None:
        return {}
    return {
        names.CODE_FILE: display_path(line.file),
        names.CODE_LINE: line.line,
        names.CODE_FUNCTION: line.function,
    }


@lru_cache(maxsize=1024)
def _attributes(line: CodeLine | None) -> Mapping[str, str | int]:
    return attributes_of(line)


def stack_text(lines: Sequence[CodeLine]) -> str:
    """Return `code.stacktrace`: innermost first, at most 40 lines.

    It ends with the user's outermost line: what called that is the server and the framework.
    """
    users = (number for number, line in enumerate(lines, 1) if is_user_file(line.file))
    told = lines[: min(max(users, default=STACK_LINES), STACK_LINES)]
    return "\n".join(
        f'File "{display_path(line.file)}", line {line.line}, in {line.function}' for line in told
    )


@lru_cache(maxsize=4096)
def is_user_file(file: str) -> bool:
    """Return whether a file belongs to the application and not to what it is built with."""
    if file.startswith("<"):
        return False
    path = os.path.abspath(file)
    if path.startswith(_CARRIED):
        return True
    if f"{os.sep}site-packages{os.sep}" in path or f"{os.sep}dist-packages{os.sep}" in path:
        return False
    return not path.startswith((_HERE, *_standard_library()))


@lru_cache(maxsize=4096)
def display_path(file: str) -> str:
    """Return a path that people recognise: relative to the working directory or to sys.path."""
    if file.startswith("<"):
        return file
    path = os.path.abspath(file)
    here = os.getcwd() + os.sep
    if path.startswith(here) and is_user_file(file):
        return path[len(here) :]
    roots = [os.path.abspath(entry) + os.sep for entry in sys.path if entry]
    inside = [root for root in (*roots, here) if path.startswith(root)]
    return path[len(max(inside, key=len)) :] if inside else path


@lru_cache(maxsize=1)
def _standard_library() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return tuple(
        {os.path.realpath(paths[key]) + os.sep for key in ("stdlib", "platstdlib")}
        | {paths[key] + os.sep for key in ("stdlib", "platstdlib")}
    )


def _frames(frame: FrameType | None) -> Iterator[CodeLine]:
    for _ in range(_WALK_LIMIT):
        if frame is None:
            return
        yield _line(frame)
        frame = frame.f_back


def _line(frame: FrameType) -> CodeLine:
    code: CodeType = frame.f_code
    return CodeLine(code.co_filename, frame.f_lineno or code.co_firstlineno, code.co_qualname)


def _greenlet_parents() -> Iterator[CodeLine]:
    # SQLAlchemy's async engine runs its sync code in a greenlet: the frames of whoever awaits it
    # are those of the parent. Never imported: without SQLAlchemy there may be no greenlet at all.
    module: Any = sys.modules.get("greenlet")
    if module is None:
        return
    parent = module.getcurrent().parent
    for _ in range(_WALK_LIMIT):
        if parent is None:
            return
        yield from _frames(parent.gr_frame)
        parent = parent.parent


def _first(thing: object, *attributes: str) -> Any:
    for attribute in attributes:
        value = getattr(thing, attribute, None)
        if value is not None:
            return value
    return None
