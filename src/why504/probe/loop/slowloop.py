"""A loop that no single stall blocks for long, but many short ones most of the time.

Each heartbeat is a sample: that it is late says that something ran when it was due, so the share of
late ones is the share of time in which the loop was taken. The stacks that the watchdog meets at
such moments say by whom. A loop that is merely busy with a thousand little things is late by less.
"""

from __future__ import annotations

from typing import Final

from why504.probe.inflight import OpenSpan
from why504.probe.process import threadcpu
from why504.probe.process.vitals import Kernel
from why504.probe.site import CodeLine, user_line

LATE_S: Final = 0.01
"""From here on a heartbeat is late."""
WINDOW_S: Final = 3.0
SLOW_SHARE: Final = 0.5
"""A loop that was taken for more of a window is slow ..."""
FINE_SHARE: Final = 0.25
"""... until it is taken for less."""
_LACKING_SHARE: Final = 0.4
FEWEST_BEATS: Final = 7
"""A window with fewer has a stall of its own."""


class Beats:
    """Heartbeats of one window; counted on the loop, read by the watchdog."""

    def __init__(self, since_s: float, since_ns: int, cpu_s: float, lacked_s: float) -> None:
        self.since_s = since_s
        self.lacked_s = lacked_s
        """For how long the loop's thread had lacked a core by then."""
        self.since_ns = since_ns
        self.cpu_s = cpu_s
        """Of the process when the window began."""
        self.count = 0
        self.late = 0
        self.samples: list[tuple[list[CodeLine], OpenSpan | None]] = []

    def add(self, late_s: float) -> None:
        """Count one."""
        self.count += 1
        self.late += late_s > LATE_S

    def share(self) -> float:
        """Return the share of time in which the loop was taken; 0.0 while little is known."""
        return self.late / self.count if self.count >= FEWEST_BEATS else 0.0

    def is_slow(self, now_s: float, lacked_s: float) -> bool:
        """Return whether code of the user's took the loop most of the time.

        One that lacks a core is late as well, which vitals tell.
        """
        taken_s = (now_s - self.since_s) * self.share()
        if lacked_s - self.lacked_s > taken_s * _LACKING_SHARE:
            return False
        known = sum(user_line(lines) is not None for lines, _ in self.samples)
        return self.share() >= SLOW_SHARE and known * 2 > len(self.samples)


def lacked_s(thread_id: int, now_s: float) -> float:
    """Return for how long a thread could run and had no core, or its process no quota left."""
    read = threadcpu.read(thread_id, now_s)
    return (0.0 if read is None else read.delay_s) + Kernel().throttled_s()
