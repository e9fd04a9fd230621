"""Time as the probe reads it: wall clock for stamps, monotonic for durations, CPU for stalls."""

from __future__ import annotations

import time


class Clock:
    """The real clock; `why504.testing.FakeClock` stands in for it.

    Its methods are those of the interpreter: each request asks a dozen times.
    """

    wall_ns = staticmethod(time.time_ns)
    """Unix nanoseconds; may jump, so it only stamps beginnings."""

    monotonic_s = staticmethod(time.monotonic)
    """Seconds that never go back."""

    cpu_s = staticmethod(time.process_time)
    """CPU seconds that this process has used, all threads together."""
