"""What a stack tells from outside: whose line it is, and whether a thread waits for work.

Known by the names of files and functions in tables; nothing of the other process is imported.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice, pairwise
from typing import Final

from why504.diagnose.hung.snapshot import Frame
from why504.diagnose.peers import LIBRARIES

Mark = tuple[str, str]
"""End of a file's path, and pattern of a function's whole name."""

_INSTALLED: Final = re.compile(r"/(site|dist)-packages/")
_STANDARD: Final = re.compile(r"/lib(64)?/(pypy|python)\d\.\d+t?/|/python\d+\.zip/")
_PROGRAM: Final = re.compile(r"/s?bin/[^/]+$")
"""The script that pip makes for a console command: it is on the stack of every server."""

_TURNS: Final[Sequence[Mark]] = (
    ("asyncio/base_events.py", r"(BaseEventLoop\.)?(_run_once|run_forever|run_until_complete)"),
    ("asyncio/runners.py", r"(Runner\.)?run"),
    ("uvloop/__init__.py", r"run"),
    ("uvicorn/_compat.py", r"asyncio_run"),
)
"""Frames of an event loop; uvloop's own are C, so that the innermost is whoever started it."""
_SELECTS: Final[Mark] = ("/selectors.py", r"(\w+\.)?select")
_RESTS: Final[Sequence[tuple[Mark, Mark]]] = (
    (("/queue.py", r"(Queue\.)?get"), ("anyio/_backends/_asyncio.py", r"(WorkerThread\.)?run")),
    (_SELECTS, ("/socketserver.py", r"(BaseServer\.)?serve_forever")),
    (("/threading.py", r"(Condition\.)?wait"), ("/queue.py", r"(Queue\.)?get")),
)
"""A thread without work: its innermost frames, first inside second."""
_REST: Final[Sequence[Mark]] = (("concurrent/futures/thread.py", r"_worker"),)
"""The same where the wait itself is C and leaves no frame."""
_LISTENS: Final = frozenset(
    {"start_consuming", "process_data_events", "drain_events", "consume", "listen", "notifies"}
)
"""Functions of clients that wait for whatever may come, for as long as it takes."""
_WORKERS: Final[Sequence[Mark]] = (
    ("anyio/_backends/_asyncio.py", r"(WorkerThread\.)?run"),
    ("concurrent/futures/thread.py", r"_worker"),
)
_ANYIO: Final[Mark] = _WORKERS[0]
_JOINS: Final[Sequence[Mark]] = (("/threading.py", r"(Thread\.)?(join|_wait_for_tstate_lock)"),)
_POOLS: Final = re.compile(r'/sqlalchemy/util/queue\.py|/psycopg_pool/\w+\.py", in getconn|'
                           r'/urllib3/connectionpool\.py", in _get_conn')  # fmt: skip
"""A thread that waits for a connection out of a pool, and has none."""


def is_own(frame: Frame) -> bool:
    """Return whether a line is the application's: no library's, and no generated code."""
    path = frame.file.replace("\\", "/")
    if path.startswith("<") or not path:
        return False
    if _INSTALLED.search(path) or _STANDARD.search(path) or "/src/why504/" in path:
        return False
    return _PROGRAM.search(path) is None


def place(frame: Frame) -> str:
    """Return a line for people: libraries below where they are installed."""
    path = frame.file.replace("\\", "/")
    installed = list(_INSTALLED.finditer(path)) or list(_STANDARD.finditer(path))
    return f"{path[installed[-1].end() :] if installed else frame.file}:{frame.line}"


def own_line(frames: Sequence[Frame]) -> Frame | None:
    """Return the application's innermost line, None where only libraries are on the stack."""
    return next((frame for frame in frames if is_own(frame)), None)


def line_of(frames: Sequence[Frame]) -> Frame | None:
    """Return the line to show: the application's, else a library's, else whatever there is.

    An application that is installed like a library can't be told from one.
    """
    own = own_line(frames)
    if own is not None:
        return own
    rows = (frame for frame in frames if _INSTALLED.search(frame.file.replace("\\", "/")))
    return next(rows, frames[0] if frames else None)


def inside_loop(frames: Sequence[Frame]) -> Sequence[Frame]:
    """Return what an event loop runs; who started the loop is on its stack, but does nothing."""
    turns = (index for index, frame in enumerate(frames) if _is_any(frame, _TURNS))
    return frames[: next(turns, len(frames))]


def runs_loop(frames: Sequence[Frame]) -> bool:
    """Return whether an event loop turns in this thread."""
    return any(_is_any(frame, _TURNS) for frame in frames)


def loop_is_free(frames: Sequence[Frame], call: str) -> bool:
    """Return whether the loop itself waits for events, and no callback runs.

    Args:
        frames: innermost first.
        call: the system call that its thread is in.
    """
    if not frames:
        return False
    inner, outer = frames[0], frames[min(1, len(frames) - 1)]
    # Whoever returns from the wait, and can't have the interpreter, is in a futex.
    waits = not call or call.startswith(("epoll", "poll", "ppoll", "select", "pselect"))
    if _is(inner, _SELECTS):
        return waits and _is_any(outer, _TURNS)
    return waits and _is_any(inner, _TURNS)


def waits_for_work(frames: Sequence[Frame]) -> bool:
    """Return whether a worker has nothing to do, or a thread only waits for others to end."""
    if not frames:
        return True
    if _is_any(frames[0], _REST) or any(_is_any(frame, _JOINS) for frame in frames[:3]):
        return True
    own = own_line(frames)
    if own is not None:
        inside = frames[: frames.index(own)]
        return any(frame.function.rpartition(".")[2] in _LISTENS for frame in inside)
    pairs = islice(pairwise(frames), 4)
    return any(_is(a, first) and _is(b, second) for a, b in pairs for first, second in _RESTS)


def is_worker(frames: Sequence[Frame]) -> bool:
    """Return whether it is a thread of a pool: AnyIO's or an executor's."""
    return any(_is_any(frame, _WORKERS) for frame in frames)


def is_anyio(frames: Sequence[Frame]) -> bool:
    """Return whether it is one of the threads that run `def` endpoints."""
    return any(_is(frame, _ANYIO) for frame in frames)


def waits_in_pool(frames: Sequence[Frame]) -> bool:
    """Return whether it waits for a connection of a pool."""
    return bool(frames) and frames[0].file.endswith("threading.py") and bool(
        _POOLS.search(_text(frames))
    )  # fmt: skip


def peer_inside(frames: Sequence[Frame]) -> str:
    """Return the kind of peer whose library the application called: `broker`, `db`; or empty."""
    own = own_line(frames)
    inside = frames[: frames.index(own)] if own is not None else frames
    text = _text(inside)
    return next((peer for peer, mark in LIBRARIES if mark.search(text)), "")


def asks_for_a_name(frames: Sequence[Frame]) -> bool:
    """Return whether it waits for a name server."""
    return any(frame.function.endswith("getaddrinfo") for frame in frames[:2])


def _text(frames: Sequence[Frame]) -> str:
    return "\n".join(
        f'"{frame.file.replace(chr(92), "/")}", in {frame.function.rpartition(".")[2]}'
        for frame in frames
    )


def _is(frame: Frame, mark: Mark) -> bool:
    end, function = mark
    matches = re.fullmatch(function, frame.function) is not None
    return matches and frame.file.replace("\\", "/").endswith(end)


def _is_any(frame: Frame, marks: Sequence[Mark]) -> bool:
    return any(_is(frame, mark) for mark in marks)
