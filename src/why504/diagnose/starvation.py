"""Starvation: whether a process could run at all, by what it told of itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from why504 import names
from why504.model import Stall, Vitals

STARVED_SHARE: Final = 0.5
"""A process that could run and had no core for this share of the time is starved of it."""
COLLECTING_SHARE: Final = 0.3
"""A process that collects garbage for this share of its CPU time does little else."""
_WANTED_SHARE: Final = 0.5
"""What wanted to run for less of the time rested for the others: it was slow at times, but it left
nothing waiting for seconds, whatever the share."""
_RESTING_SHARE: Final = 0.1
FULL_SHARE: Final = 0.8
FAULTS_PER_S: Final = 50


def could_not_run(vitals: Vitals) -> bool:
    """Return whether the process lacked a core or was busy with its memory in an interval."""
    told = [vitals]
    return (
        starved_share(told) >= STARVED_SHARE
        or gc_share(told) >= COLLECTING_SHARE
        or thrashing(told)
    )


def busy_share(vitals: Sequence[Vitals]) -> float:
    """Return how many cores a process used on average."""
    lasted_s = math.fsum(_lasted_s(one) for one in vitals)
    return _sum(vitals, names.CPU_USED_S) / lasted_s if lasted_s > 0 else 0.0


def gc_share(vitals: Sequence[Vitals]) -> float:
    """Return the share of its CPU time that a process spent collecting garbage.

    As if it had used a tenth of a core where it used less: what rests collects for much of that.
    """
    lasted_s = math.fsum(_lasted_s(one) for one in vitals)
    used_s = max(_sum(vitals, names.CPU_USED_S), lasted_s * _RESTING_SHARE)
    return min(1.0, _sum(vitals, names.GC_CPU_S) / used_s) if used_s > 0 else 0.0


def starved_share(vitals: Sequence[Vitals]) -> float:
    """Return the share of the time it could have run in which a process had no core."""
    lacked_s = math.fsum(_lacked_s(one) for one in vitals)
    wanted_s = lacked_s + _sum(vitals, names.CPU_USED_S)
    lasted_s = math.fsum(_lasted_s(one) for one in vitals)
    return lacked_s / wanted_s if wanted_s > lasted_s * _WANTED_SHARE else 0.0


def share_of_time(used_s: str, stalls: Sequence[Stall]) -> float | None:
    """Return an attribute of stalls, in seconds, as a share of their length; None if untold."""
    length_s, sum_s = 0.0, 0.0
    for stall in stalls:
        value = stall.attributes.get(used_s)
        if isinstance(value, int | float):
            sum_s += value
            # Told together with the latest row, so it is of the time until then.
            length_s += ((stall.end_ns or stall.last_seen_ns) - stall.start_ns) / 1e9
    return sum_s / length_s if length_s > 0 else None


def thrashing(vitals: Sequence[Vitals]) -> bool:
    """Return whether memory was full and pages came back from disk all the time."""
    lasted_s = math.fsum(_lasted_s(one) for one in vitals)
    faults = _sum(vitals, names.MAJOR_FAULTS)
    full = any(
        _number(v, names.MEMORY_RSS) >= FULL_SHARE * (_number(v, names.MEMORY_LIMIT) or math.inf)
        for v in vitals
    )
    return full and lasted_s > 0 and faults / lasted_s >= FAULTS_PER_S


def _lacked_s(vitals: Vitals) -> float:
    """Return how long a process had no core, at most as long as it used none.

    A thread waits for a core also if it wakes up only to find the interpreter taken by another one.
    One thread of Python runs at a time: while one does, none is starved.
    """
    idle_s = max(0.0, _lasted_s(vitals) - _number(vitals, names.CPU_USED_S))
    delayed_s = min(_number(vitals, names.CPU_DELAY_S), idle_s)
    return delayed_s + _number(vitals, names.CPU_THROTTLED_S)


def _lasted_s(vitals: Vitals) -> float:
    return ((vitals.end_ns or vitals.start_ns) - vitals.start_ns) / 1e9


def _sum(vitals: Sequence[Vitals], name: str) -> float:
    return math.fsum(_number(one, name) for one in vitals)


def _number(vitals: Vitals, name: str) -> float:
    value = vitals.attributes.get(name)
    return float(value) if isinstance(value, int | float) else 0.0
