"""What metrics tell beside spans: plain values, frozen. Times are Unix nanoseconds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

TIMEOUTS: Final = "timeouts"
"""504s that a gateway's log had so far; begins anew at 0 when its reader is restarted."""
OPEN: Final = "open"
"""Requests in flight."""
OLDEST_S: Final = "oldest_s"
"""Age of the oldest of them."""
STALL_S: Final = "stall_s"
"""For how long an event loop has not turned."""
IN_USE: Final = "in_use"
"""Connections of a pool, or threads, that are taken."""
CAPACITY: Final = "capacity"
"""So many of them may be."""
WAITING: Final = "waiting"
"""Who waits for one."""
QUEUED: Final = "queued"
"""Messages that are ready in a broker's queue."""
CORES: Final = "cores"
"""Cores that a process used."""
MEMORY: Final = "memory"
"""Bytes that a process has."""
MEMORY_LIMIT: Final = "memory_limit"
STARTED_S: Final = "started_s"
"""When a process was started, Unix seconds."""


@dataclass(frozen=True, slots=True)
class Track:
    """What one metric of one process was, moment by moment."""

    kind: str
    """One of the above."""
    name: str
    """Of what: `db.pool:main`, `threadpool`, a queue; empty where there is one only."""
    service: str
    """As the metrics' server calls it; empty where it does not say."""
    instance: str
    """Which process, by the address that its metrics are read at; empty of what is shared."""
    at_ns: Sequence[int]
    """In order; there are gaps where nobody told."""
    values: Sequence[float]
    """Finite, one a moment."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What metrics tell of a window, or of this moment."""

    source: str
    """Whose metrics, for people: `Prometheus at http://prometheus:9090`."""
    step_s: float
    """Of the counters: how far two moments are apart, where nothing is missing."""
    tracks: Sequence[Track] = ()
    problems: Sequence[str] = ()
    """What could not be read, and what that means; a sentence each, without a dot."""

    def of(self, kind: str) -> Iterator[Track]:
        """Yield the tracks of a kind."""
        return (track for track in self.tracks if track.kind == kind)
