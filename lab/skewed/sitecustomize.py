"""Python imports this at its start, if this folder is on PYTHONPATH: the clock is off by seconds.

libfaketime does the same to every program, behind one mutex: in a process with forty threads each
reading of the clock then fought for it, and the loop really stalled. Here only what Python code
asks is shifted, before anybody could import it; intervals (`monotonic`) stay as they are.
"""

import os
import time

_OFFSET_S = float(os.environ["LAB_CLOCK_OFFSET_S"])
_OFFSET_NS = round(_OFFSET_S * 1e9)
_time, _time_ns = time.time, time.time_ns


def _shifted() -> float:
    return _time() + _OFFSET_S


def _shifted_ns() -> int:
    return _time_ns() + _OFFSET_NS


time.time, time.time_ns = _shifted, _shifted_ns
