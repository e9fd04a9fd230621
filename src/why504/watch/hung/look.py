"""Looks at one process for two seconds: stacks several times, everything else before and after."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from why504.diagnose.hung.fold import Sampled, threads_of
from why504.diagnose.hung.snapshot import Facts, Frame, Look, Thread
from why504.diagnose.hung.stacks import is_own, runs_loop
from why504.errors import AttachError, AttachForbidden
from why504.watch.hung.calls import call_of
from why504.watch.hung.proc import Proc, Stat
from why504.watch.hung.pyspy import PySpy
from why504.watch.hung.sockets import sockets_of, unix_listeners

SAMPLES: Final = 10
WINDOW_S: Final = 2.0
_SAMPLE_TIMEOUT_S: Final = 10.0
_MOST_S: Final = 20.0
"""No further sample is taken then, however few there are."""
_TASKS: Final = (
    "asyncio tasks can't be seen from outside before Python 3.14; from then on: "
    "`python3.14 -m asyncio pstree {pid}`, with the interpreter that the process has"
)
_CLOCKS: Final = (
    "when connections were used last: needs root or SYS_PTRACE, and Linux 5.6; without it nobody "
    "can tell whether a client waits"
)
_FDS: Final = "its descriptors and connections: they need its user, or root"
_UNIX: Final = (
    "who waits behind a UNIX socket ({paths}): the kernel does not tell, so that idleness of "
    "the process is not claimed"
)
_OLD: Final = (
    "what some threads wait for in the kernel: they ended, or their Python is older than 3.11, "
    "which does not know their ids"
)


@dataclass(frozen=True, slots=True)
class _Moment:
    """What only has a meaning as a difference."""

    at_s: float
    stat: Stat
    throttled_s: float | None
    times: Mapping[int, tuple[float, float]]


def look_at(pid: int, *, samples: int = SAMPLES, window_s: float = WINDOW_S) -> Look:
    """Return what can be seen of a Python process in `window_s` seconds, or a little more.

    Raises:
        AttachError: there is no such process, it is not Python, or it ended meanwhile.
        AttachForbidden: this user may not read it.
        MissingExtra: py-spy is not installed.
    """
    spy, proc = PySpy(), Proc(pid)
    before = _moment(proc)
    if before.stat.state == "Z":
        raise AttachError(f"process {pid} has ended; its parent {before.stat.parent} must reap it")
    if not proc.is_python():
        raise AttachError(_no_python(proc))
    seen, unread, after = _watched(spy, proc, before.stat, samples, window_s)
    fds = proc.fds()
    connections, listeners, clocks = sockets_of(proc, fds)
    threads = _threads(proc, threads_of(seen), before, after)
    look = Look(
        facts=_facts(proc, before, after, len(fds)),
        samples=len(seen),
        threads=threads,
        sockets=connections,
        listeners=listeners,
        unix=unix_listeners(proc, fds),
    )
    known = all(thread.tid in after.times for thread in threads)
    return replace(look, unseen=[*unread, *_unseen(look, clocks=clocks, threads=known)])


def _watched(
    spy: PySpy, proc: Proc, at_first: Stat, samples: int, window_s: float
) -> tuple[list[Mapping[int, Sampled]], list[str], _Moment]:
    """Return the samples, what became of those that failed, and the moment after them."""
    ended = AttachError(f"process {proc.pid} ended while it was looked at")
    try:
        seen, unread = _stacks(spy, proc, samples, window_s)
        after = _moment(proc)
    except AttachError as error:
        if _ended(proc, at_first):
            raise ended from error
        raise
    if _ended(proc, at_first):
        raise ended
    return seen, unread, after


def _unseen(look: Look, *, clocks: bool, threads: bool) -> list[str]:
    """Return what could not be read, and what would help.

    Args:
        clocks: whether the kernel told when connections were used.
        threads: whether each thread was found in the kernel.
    """
    rows = (
        (not clocks, _CLOCKS),
        (any(runs_loop(thread.frames) for thread in look.threads), _TASKS),
        (not threads, _OLD),
        (bool(look.unix), _UNIX),
        (not look.facts.fds, _FDS),
    )
    paths = ", ".join(look.unix)
    return [said.format(pid=look.facts.pid, paths=paths) for is_so, said in rows if is_so]


def _ended(proc: Proc, stat: Stat) -> bool:
    """Return whether the process is gone, dead, or another one has its id by now."""
    try:
        now = proc.stat()
    except AttachError:
        return True
    return now.state in ("Z", "X") or now.started_s != stat.started_s


def _no_python(proc: Proc) -> str:
    command = proc.command() or "a thread of the kernel"
    below = ", ".join(str(child.pid) for child in proc.children())
    hint = f"Python runs below it: {below}" if below else "`ps axf` shows what runs below it"
    return f"process {proc.pid} is no Python process ({command}). {hint}"


def _moment(proc: Proc) -> _Moment:
    times = {tid: proc.thread_times(tid) for tid in proc.tasks()}
    return _Moment(time.monotonic(), proc.stat(), proc.throttled_s(), times)


def _stacks(
    spy: PySpy, proc: Proc, samples: int, window_s: float
) -> tuple[list[Mapping[int, Sampled]], list[str]]:
    """Return the samples that could be read, and what became of the others, for people."""
    begun_s, folder = time.monotonic(), proc.folder()
    seen: list[Mapping[int, Sampled]] = []
    failures: list[AttachError] = []
    for number in range(samples):
        time.sleep(max(0.0, begun_s + window_s * number / (samples - 1 or 1) - time.monotonic()))
        if time.monotonic() - begun_s > _MOST_S:
            break
        try:
            seen.append(_as_here(spy.sample(proc.pid, _SAMPLE_TIMEOUT_S), proc, folder))
        except AttachForbidden:
            raise
        except AttachError as error:
            failures.append(error)
            if not proc.text("stat"):
                break
    if not seen and failures:
        raise failures[0]
    return seen, [f"{len(failures)} of {samples} samples: {failures[-1]}"] if failures else []


def _as_here(sample: Mapping[int, Sampled], proc: Proc, folder: str) -> dict[int, Sampled]:
    """Return a sample with ids as they are here, and the application's paths below its folder.

    A thread of a container knows its id inside of it only.
    """
    start = folder.rstrip("/") + "/"
    ids = proc.inner_tasks()

    def short(frame: Frame) -> Frame:
        inside = folder and frame.file.startswith(start) and is_own(frame)
        return frame._replace(file=frame.file.removeprefix(start)) if inside else frame

    return {
        ids.get(tid, tid): replace(one, frames=tuple(map(short, one.frames)))
        for tid, one in sample.items()
    }


def _threads(proc: Proc, threads: list[Thread], before: _Moment, after: _Moment) -> list[Thread]:
    """Add what the kernel tells of each thread; the main thread comes first."""
    told = []
    for thread in sorted(threads, key=lambda one: (one.tid != proc.pid, one.tid)):
        first = before.times.get(thread.tid, (0.0, 0.0))
        last = after.times.get(thread.tid, first)
        call, fds = call_of(proc, thread.tid)
        told.append(
            replace(
                thread,
                cpu_s=max(0.0, last[0] - first[0]),
                ready_s=max(0.0, last[1] - first[1]),
                call=call,
                fds=fds,
            )
        )
    return told


def _facts(proc: Proc, before: _Moment, after: _Moment, fds: int) -> Facts:
    throttled_s = (
        None
        if before.throttled_s is None or after.throttled_s is None
        else after.throttled_s - before.throttled_s
    )
    return Facts(
        pid=proc.pid,
        command=proc.command(),
        state=after.stat.state,
        age_s=proc.age_s(after.stat),
        window_s=after.at_s - before.at_s,
        cpu_s=after.stat.cpu_s - before.stat.cpu_s,
        throttled_s=throttled_s,
        rss_bytes=proc.memory_bytes(),
        memory_limit_bytes=proc.memory_limit_bytes(),
        major_faults=after.stat.major_faults - before.stat.major_faults,
        fds=fds,
        fd_limit=proc.fd_limit(),
        children=proc.children(),
    )
