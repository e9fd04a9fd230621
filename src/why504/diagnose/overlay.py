"""What others did to an activity, laid over what it told of itself.

A span says `SELECT` while PostgreSQL says `waits for a row`; a span says nothing at all while its
event loop turns for nobody. The stronger witness wins.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

from why504 import names
from why504.diagnose.activities import Activities, Segment
from why504.model import Evidence, Hold, Span, Stall, Wait


class Backends:
    """Which request had which PostgreSQL backend when, by the pool's holds."""

    def __init__(self, holds: Sequence[Hold], end_of: Mapping[str, int]) -> None:
        self._by_pid: dict[int, list[tuple[int, int, Hold]]] = defaultdict(list)
        for hold in holds:
            pid = hold.attributes.get(names.BACKEND_PID)
            if isinstance(pid, int) and not hold.resource.startswith("db.lock:"):
                end_ns = hold.end_ns or max(hold.last_seen_ns, end_of.get(hold.instance, 0))
                self._by_pid[pid].append((hold.start_ns, end_ns, hold))
        for rows in self._by_pid.values():
            rows.sort(key=lambda row: row[0])

    def holder(self, pid: object, start_ns: int, end_ns: int) -> Hold | None:
        """Return the pool's hold of a backend that overlaps most of `[start_ns, end_ns)`."""
        rows = self._by_pid.get(pid, []) if isinstance(pid, int) else []
        best = max(rows, key=lambda r: min(r[1], end_ns) - max(r[0], start_ns), default=None)
        if best is None or min(best[1], end_ns) <= max(best[0], start_ns):
            return None
        return best[2]


def lay_locks(evidence: Evidence, activities: Activities, backends: Backends) -> None:
    """Lay waits for database locks over the requests whose connection waited."""
    for wait in evidence.waits:
        if not wait.resource.startswith("db.lock:"):
            continue
        start_ns, end_ns = wait.start_ns, activities.end_of(wait)
        hold = backends.holder(wait.attributes.get(names.BACKEND_PID), start_ns, end_ns)
        activity = hold and activities.of(hold.trace_id, hold.parent_id, hold.instance)
        if activity:
            activity.segments = _replaced(activity.segments, start_ns, end_ns, wait)


def lay_stalls(evidence: Evidence, activities: Activities) -> None:
    """Lay stalls of an event loop over everything that ran on it, or was sent to it."""
    loops = _Loops(evidence)
    for activity in activities:
        if activity.root.service == names.GATEWAY_SERVICE:
            stalls = loops.behind(activity.root)
        else:
            stalls = loops.of(activity.root.instance)
        if stalls:
            activity.segments = _with_stalls(activity.segments, stalls)


class _Loops:
    """Stalls of each instance, in order, and which instances a gateway may have meant."""

    def __init__(self, evidence: Evidence) -> None:
        self._stalls: dict[str, list[tuple[int, int, Stall]]] = defaultdict(list)
        for stall in evidence.stalls:
            end_ns = stall.end_ns or max(
                stall.last_seen_ns, evidence.heard_ns.get(stall.instance, 0)
            )
            if stall.start_ns < end_ns:
                self._stalls[stall.instance].append((stall.start_ns, end_ns, stall))
        for rows in self._stalls.values():
            rows.sort(key=lambda row: row[0])
        self._by_port: dict[int, set[str]] = defaultdict(set)
        servers = (span for span in evidence.spans if span.kind == "server")
        for witness in itertools.chain[Span | Stall](servers, evidence.stalls):
            port = witness.attributes.get(names.SERVER_PORT)
            if isinstance(port, int):
                self._by_port[port].add(witness.instance)
        self._behind: dict[object, list[tuple[int, int, Stall]]] = {}

    def of(self, instance: str) -> list[tuple[int, int, Stall]]:
        return self._stalls.get(instance, [])

    def behind(self, gateway: Span) -> list[tuple[int, int, Stall]]:
        """Return the stalls of the instances at a gateway span's upstream, else of all."""
        address = str(gateway.attributes.get(names.GATEWAY_UPSTREAM_ADDRESS, ""))
        if address not in self._behind:
            port = address.rpartition(":")[2]
            instances = self._by_port.get(int(port), set()) if port.isdigit() else set()
            rows = [r for i in instances or self._stalls for r in self._stalls.get(i, [])]
            self._behind[address] = sorted(rows, key=lambda row: row[0])
        return self._behind[address]


def _with_stalls(
    segments: list[Segment], stalls: Sequence[tuple[int, int, Stall]]
) -> list[Segment]:
    """Return the timeline with every stall laid over what was blocked by it."""
    starts_ns = [s[0] for s in stalls]
    longest_ns = max(end_ns - start_ns for start_ns, end_ns, _ in stalls)
    result: list[Segment] = []
    for segment in segments:
        first = bisect_left(starts_ns, segment.start_ns - longest_ns)
        last = bisect_right(starts_ns, segment.end_ns)
        pieces = [segment]
        for start_ns, end_ns, stall in stalls[first:last]:
            if _blocks(stall, segment) and start_ns < segment.end_ns and end_ns > segment.start_ns:
                pieces = _replaced(pieces, start_ns, end_ns, stall)
        result.extend(pieces)
    return result


def _blocks(stall: Stall, segment: Segment) -> bool:
    """A worker thread goes on while the loop stands; a call is judged in its own timeline."""
    if segment.kind in ("call", "stall"):
        return False
    thread = segment.source.attributes.get(names.THREAD_ID)
    loop_thread = stall.attributes.get(names.THREAD_ID)
    return thread is None or loop_thread is None or thread == loop_thread


def _replaced(
    segments: Sequence[Segment], start_ns: int, end_ns: int, by: Wait | Stall
) -> list[Segment]:
    """Return the segments with `[start_ns, end_ns)` given to a wait or stall."""
    kind = "stall" if isinstance(by, Stall) else "wait"
    result: list[Segment] = []
    for segment in segments:
        marks = sorted(
            {segment.start_ns, segment.end_ns}
            | {t for t in (start_ns, end_ns) if segment.start_ns < t < segment.end_ns}
        )
        for a, b in pairwise(marks):
            inside = start_ns <= a and b <= end_ns and segment.kind not in ("call", "stall")
            result.append(Segment(a, b, kind, by) if inside else segment.clip(a, b))
    return result
