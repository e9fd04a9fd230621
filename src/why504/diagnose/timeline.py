"""The time of an incident, as series on one axis: what was full, blocked and refused when.

Pure: evidence in, numbers out. Who draws it: dashboards/draw/timeline.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from why504.model import Window


@dataclass(frozen=True, slots=True)
class Series:
    """One thing that was measured, bucket by bucket."""

    kind: str
    """timeouts (504s a second), pool_in_use and pool_waiting (connections, requests), stalled
    (share of each bucket in which an event loop stood still), queued (messages), llm_errors
    (failed calls a second), open (requests in flight)."""
    name: str
    """Of what: `db.pool:main`, `loop:4242`, `llm groq`; empty where there is one only."""
    values: Sequence[float | None]
    """One a bucket; None where nobody told."""
    limit: float | None = None
    """What it can't exceed: the units of a pool; None where it has no limit."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened at one moment."""

    at_ns: int
    kind: str
    """started (a process was heard of for the first time), silent (for the last time)."""
    what: str
    """Whose, for people: `context-handling, process 4242`."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """What happened when, before, during and after an incident."""

    window: Window
    """What the axis shows."""
    bucket_ns: int
    """Length of a bucket; the first begins at `window.start_ns`."""
    series: Sequence[Series]
    moments: Sequence[Moment]
