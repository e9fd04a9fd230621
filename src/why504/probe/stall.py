"""The loop watchdog: says which line blocks an event loop, while it blocks it.

A heartbeat on the loop (asyncio and uvloop alike) and a thread that looks at it. While C code keeps
the GIL that thread can't look: `gildump.py` sees who does, and it is told when it lets go.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from typing import Final

from why504 import names
from why504.probe import site
from why504.probe.clock import Clock
from why504.probe.garbage import Collections
from why504.probe.gildump import GilDump, Held
from why504.probe.inflight import Place, Registry
from why504.probe.metrics import Metrics
from why504.probe.openrecord import RecordBook
from why504.probe.safety import Guard
from why504.probe.stallstate import StallState
from why504.probe.still import STILL
from why504.probe.threadpool import Threadpool

BEAT_S: Final = 0.1
POLL_S: Final = 0.1
TOLD_AFTER_S: Final = 0.25
_SUSPENDED_S: Final = 1.0


class LoopWatch:
    """One event loop and its heartbeat."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock, metrics: Metrics) -> None:
        self.loop = loop
        self.thread_id = threading.get_ident()
        self.threadpool = Threadpool()
        self.stall: StallState | None = None
        self.stopping = False
        self.late = 0.0, 0, 0.0
        """Of the last long stall: since when, the same in Unix nanoseconds, and until when."""
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
        if late_s > _SUSPENDED_S:
            self.late = self.beat_s, self.beat_ns, self.beat_s + BEAT_S + late_s
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
        self.dump: GilDump | None = None
        """Sees who keeps the GIL, if it is to be looked at."""
        self.then: list[Callable[[], object]] = []
        """What is done after each look, in its thread."""
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
        if self.dump is not None:
            self.dump.disarm()

    def end_all(self, outcome: str) -> None:
        """End every stall that goes on: the process is about to."""
        for watch in list(self.loops.values()):
            self._end(watch, outcome)

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
        now_s = self._clock.monotonic_s()
        gap_s, suspended = self._gap(now_s)
        held = self._held(gap_s, now_s)
        suspended = suspended and not (held and held.was_running)
        for key, watch in list(self.loops.items()):
            if watch.loop.is_closed():
                self._end(watch)
                self.loops.pop(key, None)
            elif suspended or not watch.loop.is_running():
                self._end(watch)
                watch.renew()
            else:
                if held is not None:
                    self._note_held(watch, held, now_s - gap_s)
                self._look_at(watch)
        for step in self.then:
            step()

    def _gap(self, now_s: float) -> tuple[float, bool]:
        """Return how long nobody looked, and whether it seems that the process was stopped."""
        # A stopped process (SIGSTOP, a sleeping laptop) uses no CPU while time goes on; a C call
        # that holds the GIL keeps this thread from looking too, but it does use CPU.
        cpu_s = self._clock.cpu_s()
        gap_s, used_s = now_s - self._looked_s, cpu_s - self._looked_cpu_s
        self._looked_s, self._looked_cpu_s = now_s, cpu_s
        return gap_s, gap_s > _SUSPENDED_S and used_s < gap_s * 0.1

    def _held(self, gap_s: float, now_s: float) -> Held | None:
        """Return who kept the GIL since the last look, and put off the next dump."""
        if self.dump is None:
            return None
        threads = sorted(watch.thread_id for watch in list(self.loops.values()))
        held = None
        if gap_s > _SUSPENDED_S:
            held = self.dump.taken(gap_s, self._clock.wall_ns(), threads)
        self.dump.arm(now_s, threads)
        return held

    def _note_held(self, watch: LoopWatch, held: Held, since_s: float) -> None:
        """Note at which line the GIL was kept, in the stall that this was for the loop."""
        blocked = held.thread_id == watch.thread_id
        times = 1 + int((self._looked_s - since_s) / POLL_S)
        if watch.stall is None and watch.beat_s > since_s + BEAT_S:
            self._tell_late(watch, held, since_s)
            return
        stall = watch.stall = watch.stall or self._begin(watch)
        task = asyncio.current_task(watch.loop) if blocked else None
        stall.note(held.lines, None if task is None else self._registry.innermost(task), times)
        self._tell(stall)

    def _tell_late(self, watch: LoopWatch, held: Held, since_s: float) -> None:
        """Tell a stall that is over: the loop turned before anybody could look."""
        began_s, began_ns, until_s = watch.late
        if until_s < since_s:
            return  # another loop's: this one turned all the time
        stall = self._begin(watch)
        stall.record.opened_s, stall.record.start_ns = began_s, began_ns
        stall.note(held.lines, None)
        stall.describe()
        self._book.sender.send(stall.record.final("ended", until_s))

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
        stall.note(lines, entry)
        age_s = stall.record.lasted_s(now_s)
        stall.sample_due_s = now_s + (0.1 if age_s < 1 else 1.0 if age_s < 10 else 10.0)
        self._tell(stall)

    def _tell(self, stall: StallState) -> None:
        stall.record.attributes |= self._used(stall)
        stall.describe()
        if stall.samples == 1:
            self._book.open(stall.record)

    def _used(self, stall: StallState) -> dict[str, float]:
        """Return what the process has used since; vitals may be late where nothing can run."""
        return {
            names.STALL_CPU_S: round(self._clock.cpu_s() - stall.cpu_at_start_s, 3),
            names.GC_CPU_S: round(self._collections.seconds - stall.gc_at_start_s, 3),
        }

    def _end(self, watch: LoopWatch, outcome: str = "ended") -> None:
        stall, watch.stall = watch.stall, None
        if stall is None:
            return
        stall.record.attributes |= self._used(stall)
        lasted_s = stall.record.lasted_s(self._clock.monotonic_s())
        self._book.close(stall.record, outcome, publish=lasted_s > TOLD_AFTER_S)
