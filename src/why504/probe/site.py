"""Which line of the user's code is running or waiting: frames of threads and greenlets.

The user's frame is the innermost one outside the standard library, installed packages and why504
itself. Those of suspended tasks: `suspended.py`.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from types import CodeType, FrameType
from typing import Any, Final, NamedTuple

import why504
from why504 import names
from why504.probe.still import STILL

STACK_LINES: Final = 40
_WALK_LIMIT: Final = 400
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
    frame = _caller(sys._getframe(1 + passed_over))
    if frame is None:
        return attributes_of(user_line(_greenlet_parents()))
    code, line = frame.f_code, frame.f_lineno
    known = _LINES.get((id(code), line))
    return known[1] if known is not None else _attributes(frame)


def caller_line(passed_over: int) -> CodeLine | None:
    """Return the user's innermost line that led to the caller; quick where that is near.

    `passed_over` frames, the caller's among them, are known to be no user's.
    """
    frame = _caller(sys._getframe(1 + passed_over))
    return user_line(_greenlet_parents()) if frame is None else line_of(frame)


def _caller(frame: Any) -> FrameType | None:
    """Return the innermost frame of the user's, from this one outwards; not across greenlets."""
    theirs = _THEIRS
    try:
        while True:
            while id(frame.f_code) in theirs:
                frame = frame.f_back
            if _is_users(frame.f_code):
                return frame  # type: ignore[no-any-return]
    except AttributeError:  # around the outermost frame there is none
        return None


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


_LINES: Final[dict[tuple[int, int], tuple[CodeType, Mapping[str, str | int]]]] = {}
"""Lines that were told, by the identity of their code and their number."""
_LINES_KEPT: Final = 1024


def _attributes(frame: FrameType) -> Mapping[str, str | int]:
    told = attributes_of(line_of(frame))
    if len(_LINES) >= _LINES_KEPT:
        _LINES.clear()
    _LINES[id(frame.f_code), frame.f_lineno] = frame.f_code, told
    return told


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
        yield line_of(frame)
        frame = frame.f_back


def line_of(frame: FrameType) -> CodeLine:
    """Return the line at which a frame is."""
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
