"""What all threads did while one kept the GIL: taken by a thread in C, which needs none.

Python's own watchdog thread can't look meanwhile. Each second it puts off a dump of `faulthandler`;
when it can't, the dump is taken, into a file that others can read as it happens. The file begins
with a line that says whose it is (docs/black-box.md).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from why504.probe.blackbox import folder as places
from why504.probe.loop.dumptimer import TIMER
from why504.probe.process.procfile import words
from why504.probe.site import CodeLine, user_line

ARM_EVERY_S: Final = 1.0
SIZE_LIMIT: Final = 2**20
_THREADS_READ: Final = 64
_TASKS: Final = Path("/proc/self/task")
_NS: Final = 1e9
_HOLDER_SHARE: Final = 0.3
"""Who keeps the GIL and computes used so much of that time at least."""
_THREAD: Final = re.compile(r"^(?:Current thread|Thread) 0x([0-9a-fA-F]+)[^\n]*most recent call")
_LINE: Final = re.compile(r'^  File "(.*)", line (\d+|\?\?\?) in (.*)$')
_WAITS_IN: Final = frozenset(
    {
        *("selectors.py", "threading.py", "queue.py", "socket.py", "socketserver.py", "thread.py"),
        *("connection.py", "runners.py", "base_events.py", "selector_events.py", "subprocess.py"),
    }
)
"""Files of the standard library whose innermost frame waits, without the GIL."""


@dataclass(frozen=True, slots=True)
class Held:
    """Who kept the GIL: its thread, and its lines, innermost first."""

    thread_id: int
    lines: list[CodeLine]
    was_running: bool
    """Whether the dump was taken well before it was found: the process was not stopped then."""


class GilDump:
    """Puts off the dump, and reads it when it was taken after all; for the watchdog's thread.

    Args:
        path: where others may read it; None keeps it in memory.
        process: whose it is.
        after_s: the dump is taken when the GIL was kept for so long.
    """

    def __init__(self, path: Path | None, process: Mapping[str, object], after_s: float) -> None:
        self._after_s = after_s
        self._path = path
        self._process = process
        self._file = -1
        self._head = b""
        self._armed_s = float("-inf")
        self._cpu_s: dict[int, float] = {}

    def is_due(self, now_s: float) -> bool:
        """Return whether the dump is to be put off by now: once a second."""
        return now_s - self._armed_s >= ARM_EVERY_S

    def arm(self, now_s: float, loop_threads: list[int]) -> None:
        """Put the dump off.

        Raises:
            OSError: there is no file to dump into.
        """
        self._armed_s = now_s
        if self._file < 0:
            self._file = _opened(self._path)
        told = {**self._process, "loop_threads": loop_threads, "after_s": self._after_s}
        head = json.dumps(told).encode() + b"\n"
        if head != self._head:
            self._head = head
            self._write_head()
        self._cpu_s = _cpu_by_thread()
        TIMER.arm(self._after_s, self._file)

    def taken(self, gap_s: float, now_ns: int, loop_threads: list[int]) -> Held | None:
        """Return who kept the GIL for `gap_s`, if a dump was taken meanwhile; forgets the dump."""
        if self._file < 0 or os.fstat(self._file).st_size <= len(self._head):
            return None
        taken_ns = os.fstat(self._file).st_mtime_ns
        text = os.pread(self._file, SIZE_LIMIT, len(self._head)).decode("utf-8", "replace")
        self._write_head()
        stacks = parsed(text)
        thread_id = self._busiest(gap_s) or holder(stacks, loop_threads)
        if thread_id not in stacks:
            return None
        was_running = now_ns - taken_ns > min(0.5, gap_s / 10) * _NS
        return Held(thread_id, stacks[thread_id], was_running)

    def disarm(self) -> None:
        """Take no dump any more; an empty file goes."""
        if self._file < 0:
            return
        TIMER.cancel()
        with contextlib.suppress(OSError):
            if self._path is not None and os.fstat(self._file).st_size <= len(self._head):
                self._path.unlink(missing_ok=True)
            os.close(self._file)
        self._file, self._armed_s = -1, float("-inf")

    def _write_head(self) -> None:
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        os.write(self._file, self._head)

    def _busiest(self, gap_s: float) -> int | None:
        """Return the thread that used most CPU since the dump was put off, if it was much."""
        now = _cpu_by_thread()
        used = {native: cpu_s - self._cpu_s.get(native, 0.0) for native, cpu_s in now.items()}
        most = max(used, key=lambda native: used[native], default=0)
        if not most or used[most] < gap_s * _HOLDER_SHARE:
            return None
        known = {thread.native_id: thread.ident for thread in threading.enumerate()}
        return known.get(most)


def parsed(text: str) -> dict[int, list[CodeLine]]:
    """Return the stacks of a dump by thread, innermost first; of several dumps the last."""
    stacks: dict[int, list[CodeLine]] = {}
    lines: list[CodeLine] = []
    for row in text.splitlines():
        if thread := _THREAD.match(row):
            lines = stacks[int(thread[1], 16)] = []
        elif found := _LINE.match(row):
            number = int(found[2]) if found[2].isdigit() else 0
            lines.append(CodeLine(found[1], number, found[3]))
    return stacks


def holder(stacks: Mapping[int, list[CodeLine]], loop_threads: list[int]) -> int | None:
    """Return the thread that does not wait: a loop's, else another with code of the user's."""
    rest = [thread for thread in stacks if thread not in loop_threads]
    for thread in (*loop_threads, *rest):
        lines = stacks.get(thread)
        if not lines or Path(lines[0].file).name in _WAITS_IN:
            continue
        if thread in loop_threads or user_line(lines) is not None:
            return thread
    return None


def _opened(path: Path | None) -> int:
    if path is not None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return places.opened(path, os.O_RDWR)
    if hasattr(os, "memfd_create"):
        return os.memfd_create("why504-dump")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _cpu_by_thread() -> dict[int, float]:
    """Return CPU seconds by native thread id; empty where nobody tells, or they are many."""
    found: dict[int, float] = {}
    threads: list[str] = []
    with contextlib.suppress(OSError):
        threads = os.listdir(_TASKS)
    for native in threads if len(threads) <= _THREADS_READ else ():
        with contextlib.suppress(ValueError, IndexError):
            found[int(native)] = int(words(f"{_TASKS}/{native}/schedstat")[0]) / _NS
    return found
