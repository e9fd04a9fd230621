"""Before and during an incident, side by side: what differed, in figures.

Pure: evidence in, numbers out.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure, before an incident and during it."""

    measure: str
    """requests (a second), failed (share), median and p99 (seconds of a request), waited (p99 of
    seconds for a pool), stalled (share of time of a loop), llm (median seconds of a call), cpu
    (cores)."""
    of: str
    """Route, resource or peer, as told; empty for all."""
    before: float | None
    """None where nobody told."""
    during: float | None
