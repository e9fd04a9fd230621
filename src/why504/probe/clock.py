"""Time as the probe reads it: wall clock for stamps, monotonic for durations, CPU for stalls."""

from __future__ import annotations

import time


class Clock:
    """The real clock; `why504.testing.FakeClock` stands in for it."""

    def wall_ns(self) -> int:
        """Return Unix nanoseconds; may jump, so it only stamps beginnings."""
        return time.time_ns()

    def monotonic_s(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    def cpu_s(self) -> float:
        """Return the CPU seconds this process has used, all threads together."""
        return time.process_time()
