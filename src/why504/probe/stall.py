"""The loop watchdog: says which line blocks an event loop, while it blocks it.

A heartbeat on the loop (asyncio and uvloop alike) and a thread that looks at it. What the thread
can't see: C code that holds the GIL for its whole length is told only when it lets go.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from dataclasses import dataclass, field
from typing import Final

from why504 import names
from why504.probe import site
from why504.probe.clock import Clock
from why504.probe.garbage import Collections
from why504.probe.inflight import OpenSpan, Place, Registry
from why504.probe.metrics import Metrics
from why504.probe.openrecord import OpenRecord, RecordBook
from why504.probe.safety import Guard
from why504.probe.site import CodeLine
from why504.probe.still import STILL
from why504.probe.threadpool import Threadpool

BEAT_S: Final = 0.1
POLL_S: Final = 0.1
TOLD_AFTER_S: Final = 0.25
_SITES_LIMIT: Final = 64
_SUSPENDED_S: Final = 1.0


@dataclass(slots=True)
class Seen:
    """What the samples of one stall showed at one line: how often, for whom, and the last stack."""

    times: int
    lines: list[CodeLine]
    entry: OpenSpan | None


@dataclass(slots=True)
class StallState:
    """One stall while it lasts."""

    record: OpenRecord
    cpu_at_start_s: float
    gc_at_start_s: float
    sample_due_s: float
    samples: int = 0
    progressing: bool = False
    first: list[CodeLine] = field(default_factory=list)
    seen: dict[CodeLine, Seen] = field(default_factory=dict)


class LoopWatch:
    """One event loop and its heartbeat."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock, metrics: Metrics) -> None:
        self.loop = loop
        self.thread_id = threading.get_ident()
        self.threadpool = Threadpool()
        self.stall: StallState | None = None
        self.stopping = False
        self._clock = clock
        self._metrics = metrics
        self.renew()

    def renew(self) -> None:
        """Count from now on."""
        self.beat_s = self._clock.monotonic_s()
        self.beat_ns = self._clock.wall_ns()
        self.beat_cpu_s = self._clock.cpu_s()

    def beat(self) -> None:
        """Note that the loop turned, and turn again; runs on the loop."""
        late_s = self._clock.monotonic_s() - self.beat_s - BEAT_S
        self.thread_id = threading.get_ident()
        self.renew()
        self._metrics.loop_lag.observe(max(0.0, late_s))
        if not self.stopping:
            self.loop.call_later(BEAT_S, self.beat)


class Watchdog:
    """Looks at every loop each 100 ms, samples those that stall, and opens their records."""

    def __init__(
        self,
        registry: Registry,
        book: RecordBook,
        metrics: Metrics,
        collections: Collections,
        *,
        clock: Clock,
        stall_after_s: float,
    ) -> None:
        self.loops: dict[int, LoopWatch] = {}
        self.stalls = 0
        self.server_port: int | None = None
        self._registry = registry
        self._book = book
        self._metrics = metrics
        self._collections = collections
        self._clock = clock
        self._stall_after_s = stall_after_s
        self._looked_s = clock.monotonic_s()
        self._looked_cpu_s = clock.cpu_s()

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Watch the running loop from now on; called on the loop, again and again."""
        known = self.loops.get(id(loop))
        if known is None or known.loop is not loop:
            known = self.loops[id(loop)] = LoopWatch(loop, self._clock, self._metrics)
            known.beat()
        known.threadpool.find()

    def stop(self, guard: Guard) -> None:
        """Let every heartbeat run out and end what is open."""
        for watch in list(self.loops.values()):
            watch.stopping = True
            with guard.site("stall"):
                self._end(watch)
        self.loops.clear()

    def places(self) -> list[tuple[asyncio.AbstractEventLoop, int]]:
        """Return each loop with the thread it runs in."""
        return [(watch.loop, watch.thread_id) for watch in list(self.loops.values())]

    def age_s(self, watch: LoopWatch) -> float:
        """Return for how long a loop has not turned; 0.0 unless it stalls."""
        return (
            0.0 if watch.stall is None else watch.stall.record.lasted_s(self._clock.monotonic_s())
        )

    def look(self) -> None:
        """Look at every loop once."""
        suspended = self._was_suspended()
        for key, watch in list(self.loops.items()):
            if watch.loop.is_closed():
                self._end(watch)
                self.loops.pop(key, None)
            elif suspended or not watch.loop.is_running():
                self._end(watch)
                watch.renew()
            else:
                self._look_at(watch)

    def _was_suspended(self) -> bool:
        # A stopped process (SIGSTOP, a sleeping laptop) uses no CPU while time goes on; a C call
        # that holds the GIL keeps this thread from looking too, but it does use CPU.
        now_s, cpu_s = self._clock.monotonic_s(), self._clock.cpu_s()
        gap_s, used_s = now_s - self._looked_s, cpu_s - self._looked_cpu_s
        self._looked_s, self._looked_cpu_s = now_s, cpu_s
        return gap_s > _SUSPENDED_S and used_s < gap_s * 0.1

    def _look_at(self, watch: LoopWatch) -> None:
        now_s = self._clock.monotonic_s()
        beat_s = watch.beat_s
        stall = watch.stall
        if stall is not None and beat_s > stall.record.opened_s:
            self._end(watch)
            stall = None
        if now_s - beat_s <= BEAT_S + self._stall_after_s:
            return
        if stall is None:
            stall = watch.stall = self._begin(watch)
        if stall.sample_due_s <= now_s:
            self._sample(watch, stall, now_s)

    def _begin(self, watch: LoopWatch) -> StallState:
        place = Place(None, watch.thread_id)
        record = self._book.mint(names.STALL, names.loop(os.getpid()), place)
        record.opened_s, record.start_ns = watch.beat_s, watch.beat_ns
        record.first_told_s = TOLD_AFTER_S
        record.attributes = {names.THREAD_ID: watch.thread_id}
        if self.server_port is not None:
            record.attributes[names.SERVER_PORT] = self.server_port
        self.stalls += 1
        return StallState(record, watch.beat_cpu_s, self._collections.seconds, sample_due_s=0.0)

    def _sample(self, watch: LoopWatch, stall: StallState, now_s: float) -> None:
        with STILL:
            lines = site.thread_lines(sys._current_frames().get(watch.thread_id))
        task = asyncio.current_task(watch.loop)
        entry = None if task is None else self._registry.innermost(task)
        if watch.beat_s > stall.record.opened_s:
            return  # it turned while we looked: the sample shows what came after
        stall.samples += 1
        stall.first = stall.first or lines
        stall.progressing = stall.progressing or lines != stall.first
        where = site.user_line(lines) or _least_foreign(lines)
        if where is not None:
            seen = stall.seen.get(where)
            if seen is None and len(stall.seen) < _SITES_LIMIT:
                seen = stall.seen[where] = Seen(0, lines, entry)
            if seen is not None:
                seen.times += 1
                seen.lines, seen.entry = lines, entry or seen.entry
        age_s = stall.record.lasted_s(now_s)
        stall.sample_due_s = now_s + (0.1 if age_s < 1 else 1.0 if age_s < 10 else 10.0)
        self._describe(stall)
        if stall.samples == 1:
            self._book.open(stall.record)

    def _describe(self, stall: StallState) -> None:
        """Bring the record up to date, so that the publisher tells what is known now."""
        attributes = stall.record.attributes
        attributes[names.STALL_SAMPLES] = stall.samples
        attributes[names.STALL_PROGRESSING] = stall.progressing
        attributes |= self._used(stall)
        where = _most_seen(stall.seen)
        if where is None:
            return
        seen = stall.seen[where]
        attributes |= site.attributes_of(where)
        attributes[names.CODE_STACKTRACE] = site.stack_text(seen.lines)
        if seen.entry is not None and stall.samples == 1:
            # Before it can be told: readers group the tellings of a record by its trace.
            stall.record.trace_id = seen.entry.trace_id
            stall.record.parent_id = seen.entry.span_id

    def _used(self, stall: StallState) -> dict[str, float]:
        """Return what the process has used since; vitals may be late where nothing can run."""
        return {
            names.STALL_CPU_S: round(self._clock.cpu_s() - stall.cpu_at_start_s, 3),
            names.GC_CPU_S: round(self._collections.seconds - stall.gc_at_start_s, 3),
        }

    def _end(self, watch: LoopWatch) -> None:
        stall, watch.stall = watch.stall, None
        if stall is None:
            return
        stall.record.attributes |= self._used(stall)
        lasted_s = stall.record.lasted_s(self._clock.monotonic_s())
        self._book.close(stall.record, "ended", publish=lasted_s > TOLD_AFTER_S)


def _most_seen(seen: dict[CodeLine, Seen]) -> CodeLine | None:
    """Return the line seen most often in the function seen most often."""
    functions: dict[tuple[str, str], int] = {}
    for line, what in seen.items():
        key = (line.file, line.function)
        functions[key] = functions.get(key, 0) + what.times
    return max(
        seen,
        key=lambda line: (functions[(line.file, line.function)], seen[line].times),
        default=None,
    )


def _least_foreign(lines: list[CodeLine]) -> CodeLine | None:
    """Return the innermost line of an installed package, where no user's code is on the stack."""
    packaged = (line for line in lines if "site-packages" in line.file)
    return next(packaged, lines[0] if lines else None)
