"""Before and during an incident, side by side: what differed, in figures.

Pure: evidence in, numbers out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import chain
from typing import Final, NamedTuple

from why504 import names
from why504.diagnose.course.figures import Side, cores, llms, requests, stalls, waits
from why504.diagnose.course.reading import Item, Reading, everything, ready
from why504.model import Evidence, Hold, Incident, Span, Window

_SHORTEST_NS: Final = 1_000_000_000
"""A stretch shorter than this says nothing."""
_LITTLE: Final = {
    "timeouts": 0.02, "requests": 0.5, "failed": 0.01, "median": 0.02, "p99": 0.05, "waited": 0.05,
    "stalled": 0.02, "llm": 0.2, "llm_calls": 0.1, "llm_failed": 0.05, "cpu": 0.1,
}  # fmt: skip
"""Measure -> what is as good as nothing."""
_WATCHED: Final = (names.LOCKS_WATCHED, names.BROKER_WATCHED)


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure, before an incident, during it and after it."""

    measure: str
    """timeouts (504s a second), requests (a second), failed (share), median and p99 (seconds of a
    request), waited (p99 of seconds for a pool or lock, of those who waited), stalled (share of
    time of a loop), llm (median seconds of a call), llm_calls (a second), llm_failed (share), cpu
    (cores)."""
    of: str
    """Route, resource or peer, as told; empty for all."""
    before: float | None
    """None where nobody told."""
    during: float | None
    after: float | None = None

    @property
    def factor(self) -> float | None:
        """Return how many times more it was during the incident; infinite if it was 0 before.

        None where there is nothing to compare.
        """
        if self.before is None or self.during is None:
            return None
        if not self.before:
            return math.inf if self.during else 1.0
        return self.during / self.before

    @property
    def change(self) -> float:
        """Return how much it changed, in doublings or halvings; 0.0 where nobody knows.

        Little and less than that are the same: from 1 ms to 3 ms nothing has changed.
        """
        if self.before is None or self.during is None:
            return 0.0
        little = _LITTLE.get(self.measure, 0.0) or 1e-9
        return abs(math.log2((self.during + little) / (self.before + little)))


class Stretches(NamedTuple):
    """What is compared."""

    before: Window | None
    """From the first word of a service until the first victim began; None if under a second."""
    during: Window
    after: Window | None
    """From the last 504 to the last word of a service; None if under a second."""


def stretches(evidence: Evidence, incident: Incident) -> Stretches:
    """Return what of the evidence's window is before, during and after an incident."""
    asked_for, during = evidence.window, incident.window
    told = [item for item in everything(evidence) if not _watches(item)]
    first_ns = min((item.start_ns for item in told), default=during.start_ns)
    last_ns = max((item.last_seen_ns for item in told), default=during.end_ns)
    before = Window(max(first_ns, asked_for.start_ns), during.start_ns)
    after = Window(during.end_ns, min(last_ns, asked_for.end_ns))
    return Stretches(
        before if before.end_ns - before.start_ns >= _SHORTEST_NS else None,
        during,
        after if after.end_ns - after.start_ns >= _SHORTEST_NS else None,
    )


def compared(evidence: Evidence, incident: Incident) -> list[Compared]:
    """Return what was before, during and after an incident, what changed most first.

    A request, wait or call counts as during the incident if it overlaps it: what hung was not there
    before. Of a sample figures are estimates; how many requests and calls there were, and what
    share failed, can't be told of one and is left out.

    Args:
        evidence: of the incident's time, with what was before it.
        incident: found in this evidence or in more of it.
    """
    evidence = ready(evidence)
    reading = Reading(evidence, evidence.window)
    parts = stretches(evidence, incident)._asdict()
    sides = [window and _side(place, window, reading) for place, window in parts.items()]
    rows = chain(
        requests(reading, incident), waits(reading), stalls(reading), llms(reading), cores(reading)
    )
    found = [
        Compared(row.measure, row.of, *(side and row.figure(side) for side in sides))
        for row in rows
    ]
    told = [one for one in found if one.before is not None or one.during]
    return sorted(told, key=lambda one: -one.change)


def _side(place: str, window: Window, reading: Reading) -> Side:
    start_s, end_s = reading.buckets.seconds([window.start_ns, window.end_ns]).tolist()
    return Side(place, start_s, end_s)


def _watches(item: Item) -> bool:
    """Who watches databases and brokers may have begun before there was a service to watch."""
    if isinstance(item, Span):
        return item.name in _WATCHED
    return isinstance(item, Hold) and names.BROKER_TROUBLE in item.attributes
