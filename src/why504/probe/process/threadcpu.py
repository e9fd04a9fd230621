"""How much of a core a worker thread uses and wants for a request, between two looks at it.

A thread that computes, one without a core and one that waits in a call look alike from outside, and
may show the same line for minutes. Linux tells them apart; elsewhere nothing is told.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final, NamedTuple

from why504 import names
from why504.probe.process.procfile import words

_TASKS: Final = Path("/proc/self/task")
_NS: Final = 1e9


class Reading(NamedTuple):
    """For how long a thread had run, and had waited for a core, at a moment."""

    thread_id: int
    at_s: float
    cpu_s: float
    delay_s: float

    def shares_since(self, earlier: Reading) -> dict[str, float]:
        """Return what is told of the time since an earlier look at the same thread."""
        lasted_s = self.at_s - earlier.at_s
        if lasted_s <= 0:
            return {}
        ran_s = self.cpu_s - earlier.cpu_s
        wanted_s = ran_s + self.delay_s - earlier.delay_s
        return {
            names.THREAD_CPU_SHARE: round(ran_s / lasted_s, 2),
            names.THREAD_WANTED_SHARE: round(wanted_s / lasted_s, 2),
        }


def read(thread_id: int, now_s: float) -> Reading | None:
    """Return what a thread, by its `threading` id, has used; None where nobody tells."""
    # By /proc, since pthread_getcpuclockid() crashes the process for a thread that has just ended.
    known = {thread.ident: thread.native_id for thread in threading.enumerate()}
    native_id = known.get(thread_id)
    told = words(f"{_TASKS}/{native_id}/schedstat")
    if len(told) < 2 or not (told[0].isdigit() and told[1].isdigit()):
        return None
    return Reading(thread_id, now_s, int(told[0]) / _NS, int(told[1]) / _NS)
