"""One event loop and its heartbeat, which runs on it (asyncio and uvloop alike)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import Context
from typing import Final

from why504.probe.clock import Clock
from why504.probe.exposed.metrics import Metrics
from why504.probe.loop.slowloop import Beats
from why504.probe.loop.stallstate import StallState
from why504.probe.pools.threadpool import Threadpool

BEAT_S: Final = 0.1
IDLE_S: Final = 0.2
"""Between beats, and looks at them, in quiet times: each wakes a processor."""
LONG_S: Final = 1.0
"""No look of a thread and no heartbeat comes later by itself."""


class LoopWatch:
    """One event loop and its heartbeat."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        metrics: Metrics,
        pause_s: Callable[[], float],
    ) -> None:
        self.loop = loop
        self.due_s = BEAT_S
        """Between the last beat and the next."""
        self.thread_id = threading.get_ident()
        self.threadpool = Threadpool()
        self.stall: StallState | None = None
        self.slow: StallState | None = None
        """Many short stalls, told as one for as long as they go on."""
        self.beats = Beats(clock.monotonic_s(), clock.wall_ns(), clock.cpu_s(), 0.0)
        self.late_share = 0.0
        """Share of the last window in which something kept the loop from turning."""
        self.stopping = False
        self.late = 0.0, 0, 0.0
        """Of the last long stall: since when, the same in Unix nanoseconds, and until when."""
        self._clock = clock
        self._metrics = metrics
        self._pause_s = pause_s
        self._context = Context()
        self.renew()

    def renew(self) -> None:
        """Count from now on."""
        self.beat_s = self._clock.monotonic_s()
        self.beat_ns = self._clock.wall_ns()
        self.beat_cpu_s = self._clock.cpu_s()

    def beat(self) -> None:
        """Note that the loop turned, and turn again; runs on the loop."""
        late_s = self._clock.monotonic_s() - self.beat_s - self.due_s
        if late_s > LONG_S:
            self.late = self.beat_s, self.beat_ns, self.beat_s + self.due_s + late_s
        self.thread_id = threading.get_ident()
        self.beats.add(late_s)
        self.renew()
        self._metrics.loop_lag.observe(max(0.0, late_s))
        self.due_s = self._pause_s()
        if not self.stopping:
            # The first request's own context would be copied, and all that is in it kept.
            self.loop.call_later(self.due_s, self.beat, context=self._context)
