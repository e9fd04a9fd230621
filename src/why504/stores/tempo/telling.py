"""What rows out of searches tell of a burst: who was heard of, who held what, what matters most."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from why504 import names
from why504.diagnose.blame import resource_key
from why504.diagnose.endings import end_of
from why504.diagnose.steps import Presence
from why504.model import Evidence, Window
from why504.stores.records import Row
from why504.stores.sampling import Candidates, Codes, Lots
from why504.stores.tempo.search import Asking

_MOST_WATCHES: Final = 20


@dataclass(slots=True)
class Burst:
    """What searches tell of one burst of victims, and which traces are to be read for it."""

    lots: Lots
    window: Window
    told: list[Row] = field(default_factory=list)
    """Waits and holds, with what it takes to weigh them."""
    deciding: list[Row] = field(default_factory=list)
    """What is rare and decides: whole, and in evidence whether its trace is read or not."""
    kinds: list[Codes] = field(default_factory=list)
    """Victims that are alike."""
    alike: dict[str, float] = field(default_factory=dict)
    """Traces with brief holds -> for how many alike each stands."""


def heard(rows: Iterable[Row]) -> dict[str, int]:
    """Return when each instance was last heard of, by what was read of it."""
    heard_ns: dict[str, int] = {}
    for row in rows:
        heard_ns[row.instance] = max(row.end_ns, heard_ns.get(row.instance, 0))
    return heard_ns


def with_queues(rows: list[Row], asking: Asking) -> list[Row]:
    """Return rows in which the watches of a broker that had an alarm tell of its queues.

    Those are lists, which no search returns: the latest watches are read whole.
    """
    if not any((row.resource or "").startswith("broker:") for row in rows):
        return rows
    watches = sorted((r for r in rows if r.name == names.BROKER_WATCHED), key=lambda r: -r.end_ns)
    told = asking.traces(row.trace_id.hex() for row in watches[:_MOST_WATCHES])
    read = {row.trace_id for row in told}
    return [row for row in rows if row.trace_id not in read] + told


def present(told: Evidence) -> dict[str, Presence]:
    """Return how many held each resource when, by its key."""
    times: dict[str, list[tuple[int, int]]] = {}
    for hold in told.holds:
        ends_ns = end_of(hold, told.heard_ns)
        times.setdefault(resource_key(hold), []).append((hold.start_ns, ends_ns))
    return {
        key: Presence.of(*np.array(rows, np.int64).reshape(-1, 2).T) for key, rows in times.items()
    }


def longest(rows: Iterable[Row], most: int) -> list[str]:
    """Return the traces that have the longest stalls, locks and alarms."""
    longest_ns: dict[str, int] = {}
    for row in rows:
        if row.record in (names.STALL, names.WAIT, names.HOLD):
            trace_id = row.trace_id.hex()
            longest_ns[trace_id] = max(length_ns(row), longest_ns.get(trace_id, 0))
    return sorted(longest_ns, key=lambda trace_id: (-longest_ns[trace_id], trace_id))[:most]


def lock_owners(told: Evidence) -> list[str]:
    """Return who had the connection of a session that kept a lock: one matters, however brief."""
    keepers = [hold for hold in told.holds if hold.resource.startswith("db.lock:")]
    pids = {hold.attributes.get(names.BACKEND_PID) for hold in keepers} - {None}
    return [
        hold.trace_id
        for hold in told.holds
        if hold.resource.startswith("db.pool:") and hold.attributes.get(names.BACKEND_PID) in pids
    ]


def inside_of(found: Candidates, burst: Window) -> NDArray[np.bool_]:
    """Return which of them were given up during a burst."""
    return (found.end_ns >= burst.start_ns) & (found.end_ns < burst.end_ns)


def overlaps(row: Row, window: Window) -> bool:
    """Return whether a row overlaps a window."""
    return row.start_ns < window.end_ns and row.end_ns >= window.start_ns


def length_ns(row: Row) -> int:
    """Return how long a row lasted."""
    return row.end_ns - row.start_ns


def code_of(raw: bytes) -> int:
    """Return a hash that is even over 64 bits, so that it serves as a lot too."""
    return int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest())
