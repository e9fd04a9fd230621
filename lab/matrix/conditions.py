"""The conditions under which every fault is injected: the same fault must get the same name.

A condition changes a row of lab/faults.py: its load, the service's settings, what happens midway.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from lab.deployment import PYTHON
from lab.faults import ROOT, Fault
from lab.sync.faults import LEFT_OUT, in_threads
from why504.errors import LabError

BURST: Final = 3.0


@dataclass(frozen=True, slots=True)
class Condition:
    """One column of the matrix."""

    id: str
    description: str
    change: Callable[[Fault], Fault]
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Fault -> why it can't be injected under this condition."""


def _burst(row: Fault) -> Fault:
    rates = {route: rate * BURST for route, rate in row.during.items()}
    return replace(row, during=rates, lasts_s=row.lasts_s / BURST)


def _mixed(row: Fault) -> Fault:
    more = {"status": 4.0, "suggest": 2.0, "livez": 1.0}
    routes = {*row.during, *more}
    rates = {route: row.during.get(route, 0) + more.get(route, 0) for route in sorted(routes)}
    return replace(row, during=rates)


def _with(**settings: str) -> Callable[[Fault], Fault]:
    return lambda row: replace(row, settings={**row.settings, **settings})


def _clock(offset_s: float) -> Callable[[Fault], Fault]:
    path = os.pathsep.join([str(ROOT / "lab" / "skewed"), PYTHON["PYTHONPATH"]])
    return _with(PYTHONPATH=path, LAB_CLOCK_OFFSET_S=str(offset_s))


CONDITIONS: Final = (
    Condition("steady", "as the fault is written down", lambda row: row),
    Condition("burst", f"the same requests in a {1 / BURST:.0%} of the time", _burst),
    Condition("mixed", "other routes beside", _mixed),
    Condition(
        "sampled",
        "head sampling keeps one trace in ten",
        _with(OTEL_TRACES_SAMPLER="traceidratio", OTEL_TRACES_SAMPLER_ARG="0.1"),
    ),
    Condition("ahead", "the service's clock is 2 s ahead of the gateway's", _clock(2.0)),
    Condition("behind", "the service's clock is 2 s behind the gateway's", _clock(-2.0)),
    Condition(
        "killed",
        "the service is killed midway (kill -9) and started again",
        # Longer, so that the incident has begun before, and goes on after the service is back.
        lambda row: replace(row, midway="service killed", lasts_s=row.lasts_s * 1.5),
    ),
    Condition(
        "deaf",
        "the receiver is killed midway, and started again 4 s later (a minute of production)",
        lambda row: replace(row, midway="receiver down"),
    ),
    Condition(
        "asyncio",
        "Python's own event loop instead of uvloop",
        lambda row: replace(row, server_options=("--loop", "asyncio")),
    ),
    Condition(
        "sync", "`def` endpoints in threads, synchronous clients (lab/sync)", in_threads, LEFT_OUT
    ),
)
"""The plain one first."""


def condition(condition_id: str) -> Condition:
    """Return the condition of this id.

    Raises:
        LabError: there is none.
    """
    for row in CONDITIONS:
        if row.id == condition_id.lower():
            return row
    known = ", ".join(row.id for row in CONDITIONS)
    raise LabError(f"there is no condition {condition_id!r}; there are {known}")
