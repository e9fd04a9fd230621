"""The loop watchdog: says which line blocks an event loop, while it blocks it.

A heartbeat on the loop (asyncio and uvloop alike) and a thread that looks at it. While C code keeps
the GIL that thread can't look: `gildump.py` sees who does, and it is told when it lets go.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from threading import get_ident
from typing import Final

from why504 import names
from why504.probe import site
from why504.probe.clock import Clock
from why504.probe.exposed.metrics import Metrics
from why504.probe.inflight import OpenSpan, Place, Registry
from why504.probe.loop.garbage import Collections
from why504.probe.loop.gildump import GilDump, Held
from why504.probe.loop.loopwatch import BEAT_S, IDLE_S, LONG_S, LoopWatch
from why504.probe.loop.slowloop import FINE_SHARE, LATE_S, WINDOW_S, Beats, lacked_s
from why504.probe.loop.stallstate import StallState
from why504.probe.safety import Guard
from why504.probe.site import CodeLine
from why504.probe.still import STILL
from why504.probe.telling.openrecord import RecordBook

TOLD_AFTER_S: Final = 0.25
QUIET_S: Final = 5.0
"""Since the last span began; before that a loop is looked at as often as while one is open, for
short requests are rarely open when it is asked."""
HUNG_S: Final = 60.0
"""The same while one is open: what goes on for so long beside nothing new waits, or streams."""


class Watchdog:
    """Looks at every loop each 100 ms, or 200 ms in quiet times.

    It samples those that stall, and opens their records.
    """

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
            known = self.loops[id(loop)] = LoopWatch(loop, self._clock, self._metrics, self.pause_s)
            known.beat()
        known.threadpool.find()

    def dumps_into(self, dump: GilDump) -> None:
        """Have a dump taken while the GIL is kept, from now on: it may be before the first look.

        Raises:
            OSError: there is no file to dump into.
        """
        self.dump = dump
        now_s = self._clock.monotonic_s()
        self._gap(now_s)  # until now nobody was to look
        runs_loop = asyncio._get_running_loop() is not None
        dump.arm(now_s, [get_ident()] if runs_loop else [])

    def knows(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Return whether a loop is watched, and its threads are."""
        known = self.loops.get(id(loop))
        return known is not None and known.loop is loop and known.threadpool.is_found

    def stop(self, guard: Guard) -> None:
        """Let every heartbeat run out and end what is open."""
        for watch in list(self.loops.values()):
            watch.stopping = True
            with guard.site("stall"):
                self._end(watch)
                self._end_slow(watch, "ended")
        self.loops.clear()
        if self.dump is not None:
            self.dump.disarm()

    def forked(self) -> None:
        """Forget the loops and the dump, which are the parent's."""
        self.loops.clear()
        self.dump = None

    def end_all(self, outcome: str) -> None:
        """End every stall that goes on: the process is about to."""
        for watch in list(self.loops.values()):
            self._end(watch, outcome)
            self._end_slow(watch, outcome)

    def places(self) -> list[tuple[asyncio.AbstractEventLoop, int]]:
        """Return each loop with the thread it runs in."""
        return [(watch.loop, watch.thread_id) for watch in list(self.loops.values())]

    def age_s(self, watch: LoopWatch) -> float:
        """Return for how long a loop has not turned; 0.0 unless it stalls."""
        return (
            0.0 if watch.stall is None else watch.stall.record.lasted_s(self._clock.monotonic_s())
        )

    def pause_s(self) -> float:
        """Return after how long to look again."""
        quiet_s = self._clock.monotonic_s() - self._registry.latest_s
        needed_s = HUNG_S if self._registry.spans else QUIET_S
        return IDLE_S if quiet_s > needed_s else BEAT_S

    def look(self) -> None:
        """Look at every loop once."""
        now_s = self._clock.monotonic_s()
        gap_s, suspended = self._gap(now_s)
        held = self._held(gap_s, now_s)
        suspended = suspended and not (held and held.was_running)
        for key, watch in list(self.loops.items()):
            if watch.loop.is_closed():
                self._end(watch)
                self._end_slow(watch, "ended")
                self.loops.pop(key, None)
            elif suspended or not watch.loop.is_running():
                self._end(watch)
                self._end_slow(watch, "ended")
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
        return gap_s, gap_s > LONG_S and used_s < gap_s * 0.1

    def _held(self, gap_s: float, now_s: float) -> Held | None:
        """Return who kept the GIL since the last look, and put off the next dump."""
        # After a long gap it is due in any case.
        if self.dump is None or not self.dump.is_due(now_s):
            return None
        threads = sorted(watch.thread_id for watch in list(self.loops.values()))
        held = None
        if gap_s > LONG_S:
            held = self.dump.taken(gap_s, self._clock.wall_ns(), threads)
        self.dump.arm(now_s, threads)
        return held

    def _note_held(self, watch: LoopWatch, held: Held, since_s: float) -> None:
        """Note at which line the GIL was kept, in the stall that this was for the loop."""
        blocked = held.thread_id == watch.thread_id
        times = 1 + int((self._looked_s - since_s) / BEAT_S)
        if watch.stall is None and watch.beat_s > since_s + IDLE_S:
            self._tell_late(watch, held, since_s)
            return
        stall = watch.stall = watch.stall or self._begin(watch)
        stall.record.attributes[names.STALL_GIL_KEPT] = True
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
        stall.record.attributes[names.STALL_GIL_KEPT] = True
        stall.note(held.lines, None)
        stall.describe()
        self._book.sender.send(stall.record.final("ended", until_s))

    def _look_at(self, watch: LoopWatch) -> None:
        now_s = self._clock.monotonic_s()
        # Read as they belong together: the loop may beat at any moment, and say when it will next.
        due_s, beat_s = watch.due_s, watch.beat_s
        stall = watch.stall
        if stall is not None and beat_s > stall.record.opened_s:
            self._end(watch)
            stall = None
        self._look_at_beats(watch, now_s, late_s=now_s - beat_s - due_s)
        if now_s - beat_s <= due_s + self._stall_after_s:
            return
        if stall is None:
            stall = watch.stall = self._begin(watch)
        if stall.sample_due_s <= now_s:
            self._sample(watch, stall, now_s)

    def _look_at_beats(self, watch: LoopWatch, now_s: float, *, late_s: float) -> None:
        """Sample a loop that is late by now; at the end of a window say whether it is slow."""
        beats = watch.beats
        if late_s > LATE_S and watch.stall is None:
            beats.samples.append(self._seen_now(watch))
        if now_s - beats.since_s < WINDOW_S:
            return
        lacked = lacked_s(watch.thread_id, now_s)
        watch.beats = Beats(now_s, self._clock.wall_ns(), self._clock.cpu_s(), lacked)
        watch.late_share = beats.share()
        if watch.slow is None and beats.is_slow(now_s, lacked):
            watch.slow = self._begin_slow(watch, beats)
        if watch.slow is not None:
            self._go_on_slowly(watch, watch.slow, beats)

    def _begin_slow(self, watch: LoopWatch, beats: Beats) -> StallState:
        slow = self._begin(watch)
        slow.record.opened_s, slow.record.start_ns = beats.since_s, beats.since_ns
        slow.cpu_at_start_s = beats.cpu_s
        self._book.open(slow.record)
        return slow

    def _go_on_slowly(self, watch: LoopWatch, slow: StallState, beats: Beats) -> None:
        for lines, entry in beats.samples:
            slow.note(lines, entry)
        slow.record.attributes[names.STALL_SHARE] = round(beats.share(), 2)
        slow.record.attributes |= self._used(slow)
        slow.describe()
        if beats.share() < FINE_SHARE:
            self._end_slow(watch, "ended")

    def _end_slow(self, watch: LoopWatch, outcome: str) -> None:
        slow, watch.slow = watch.slow, None
        if slow is not None:
            self._book.close(slow.record, outcome, publish=True)

    def _seen_now(self, watch: LoopWatch) -> tuple[list[CodeLine], OpenSpan | None]:
        """Return what a loop runs at this moment, and for which span."""
        with STILL:
            lines = site.thread_lines(sys._current_frames().get(watch.thread_id))
        task = asyncio.current_task(watch.loop)
        return lines, None if task is None else self._registry.innermost(task)

    def _begin(self, watch: LoopWatch) -> StallState:
        place = Place(None, watch.thread_id)
        record = self._book.mint(names.STALL, names.loop(os.getpid()), place)
        record.opened_s, record.start_ns = watch.beat_s, watch.beat_ns
        record.first_told_s = TOLD_AFTER_S + watch.due_s - BEAT_S
        record.attributes = {names.THREAD_ID: watch.thread_id}
        if self.server_port is not None:
            record.attributes[names.SERVER_PORT] = self.server_port
        self.stalls += 1
        return StallState(record, watch.beat_cpu_s, self._collections.seconds, sample_due_s=0.0)

    def _sample(self, watch: LoopWatch, stall: StallState, now_s: float) -> None:
        lines, entry = self._seen_now(watch)
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
        self._book.close(
            stall.record, outcome, publish=lasted_s > (stall.record.first_told_s or 0.0)
        )
