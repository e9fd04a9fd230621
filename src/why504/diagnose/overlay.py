"""What others did to an activity, laid over what it told of itself.

A span says `SELECT` while PostgreSQL says `waits for a row`; a span says nothing at all while its
event loop turns for nobody. The stronger witness wins.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import chain, pairwise
from operator import attrgetter

from why504 import names
from why504.diagnose.activities import Activities
from why504.diagnose.activity import Activity, Process, Segment, laid, process_of
from why504.diagnose.endings import end_of
from why504.diagnose.peers import peer_of
from why504.diagnose.silence import Silence, upstream_of
from why504.diagnose.starvation import could_not_run
from why504.diagnose.steps import Timeline
from why504.model import Evidence, Hold, Site, Span, Stall, Vitals, Wait

_Behind = tuple[list[Timeline[Stall]], list[Timeline[Vitals]]]
"""Stalls of the processes behind an address, and when those could not run."""


class Backends:
    """Which request had which PostgreSQL backend when, by the pool's holds."""

    def __init__(self, evidence: Evidence) -> None:
        """Take all evidence; holds of database locks are not the pool's and don't count."""
        rows: dict[int, list[tuple[int, int, Hold]]] = defaultdict(list)
        self._anonymous = False
        for hold in evidence.holds:
            if hold.resource.startswith("db.pool:"):
                pid = hold.attributes.get(names.BACKEND_PID)
                if isinstance(pid, int):
                    end_ns = end_of(hold, evidence.heard_ns)
                    rows[pid].append((hold.start_ns, end_ns, hold))
                else:
                    self._anonymous = True
        self._by_pid = {pid: Timeline(found) for pid, found in rows.items()}
        lock_waits = (w for w in evidence.waits if w.resource.startswith("db.lock:"))
        pids = {wait.attributes.get(names.BACKEND_PID) for wait in lock_waits}
        self.doubtful = not pids <= self._by_pid.keys() and (self._anonymous or not self._by_pid)
        """Whether some request of ours may have waited for a lock, and nobody can tell which."""
        self._watched = [
            (s.start_ns, end_of(s, evidence.heard_ns))
            for s in evidence.spans
            if s.name == names.LOCKS_WATCHED
        ]
        self.waiting_lines: dict[str, Counter[Site]] = defaultdict(Counter)
        """Resource of a lock -> lines of the statements that waited for it."""

    def watched(self, start_ns: int, end_ns: int) -> bool:
        """Return whether PostgreSQL was asked for lock waits during half of that time or more."""
        overlaps = (min(b, end_ns) - max(a, start_ns) for a, b in self._watched)
        return sum(o for o in overlaps if o > 0) * 2 >= end_ns - start_ns

    def holds(self, pid: object, start_ns: int, end_ns: int) -> list[tuple[int, int, Hold]]:
        """Return the pool's holds of a backend that overlap `[start_ns, end_ns)`, in order.

        None if two have it at once: then the pid is that of two servers.
        """
        timeline = self._by_pid.get(pid) if isinstance(pid, int) else None
        rows = timeline.overlapping(start_ns, end_ns) if timeline else []
        disjoint = all(a[1] <= b[0] for a, b in pairwise(rows))
        return rows if disjoint else []


def lay_locks(evidence: Evidence, activities: Activities, backends: Backends) -> None:
    """Lay waits for database locks over the statements of requests whose connection waited."""
    waits: dict[Activity, list[tuple[int, int, Wait]]] = defaultdict(list)
    for wait in evidence.waits:
        if not wait.resource.startswith("db.lock:"):
            continue
        start_ns, end_ns = wait.start_ns, end_of(wait, evidence.heard_ns)
        for row in backends.holds(wait.attributes.get(names.BACKEND_PID), start_ns, end_ns):
            if (activity := activities.behind(row[2])) is not None:
                inside = max(start_ns, row[0]), min(end_ns, row[1])
                waits[activity].append((*inside, wait))
                _note_lines(activity, *inside, backends.waiting_lines[wait.resource])
    for activity, rows in waits.items():
        activity.segments = laid(activity.segments, [Timeline(rows)], _is_statement)


def _note_lines(activity: Activity, start_ns: int, end_ns: int, lines: Counter[Site]) -> None:
    """Count the line that a statement was sent from, before the wait is laid over it."""
    for segment in activity.between(start_ns, end_ns):
        if isinstance(segment.source, Span) and segment.source.site is not None:
            lines[segment.source.site] += 1


def lay_stalls(evidence: Evidence, activities: Activities) -> None:
    """Lay stalls of an event loop over everything that ran on it, or was sent to it."""
    processes = _Processes(evidence, activities)
    in_threads: dict[Activity, list[tuple[int, int]]] = defaultdict(list)
    for hold in evidence.holds:
        if not hold.resource.startswith(names.THREADPOOL):
            continue
        if (holder := activities.behind(hold)) is not None:
            in_threads[holder].append((hold.start_ns, end_of(hold, evidence.heard_ns)))
    for activity, rows in in_threads.items():
        activity.in_threads = rows
    for activity in activities:
        if activity.root.service == names.GATEWAY_SERVICE:
            activity.stalls, activity.starved = processes.behind(activity)
        else:
            activity.stalls = processes.of([process_of(activity.root)])


class _Processes:
    """What held up each process, and which processes a gateway may have meant by an address."""

    def __init__(self, evidence: Evidence, activities: Activities) -> None:
        rows: dict[Process, list[tuple[int, int, Stall]]] = defaultdict(list)
        self._open: dict[Process, list[Stall]] = defaultdict(list)
        for stall in evidence.stalls:
            end_ns = end_of(stall, evidence.heard_ns)
            rows[process_of(stall)].append((stall.start_ns, end_ns, stall))
            if stall.end_ns is None:
                self._open[process_of(stall)].append(stall)
        self._stalls = {process: Timeline(found) for process, found in rows.items()}
        starved: dict[Process, list[tuple[int, int, Vitals]]] = defaultdict(list)
        self._last: dict[Process, Vitals] = {}
        for vitals in sorted(evidence.vitals, key=attrgetter("start_ns")):
            self._last[process_of(vitals)] = vitals
            if could_not_run(vitals):
                starved[process_of(vitals)].append((vitals.start_ns, vitals.end_ns or 0, vitals))
        self._starved = {process: Timeline(found) for process, found in starved.items()}
        self._by_port: dict[str, set[Process]] = defaultdict(set)
        servers = (s for s in evidence.spans if s.kind == "server")
        for witness in chain[Span | Stall](servers, evidence.stalls):
            port = witness.attributes.get(names.SERVER_PORT)
            if isinstance(port, int) and witness.service != names.GATEWAY_SERVICE:
                self._by_port[str(port)].add(process_of(witness))
        self._met: dict[str, set[Process]] = defaultdict(set)
        for activity in activities:
            if activity.callees and activity.root.service == names.GATEWAY_SERVICE:
                self._met[upstream_of(activity.root)].add(_answered(activity))
        self._silence = Silence(evidence)
        self._behind: dict[tuple[str, Process | None, bool], _Behind] = {}

    def of(self, processes: Sequence[Process]) -> list[Timeline[Stall]]:
        return [self._stalls[process] for process in processes if process in self._stalls]

    def behind(self, gateway: Activity) -> _Behind:
        """Return what held up who took a request up, else all who may have been meant."""
        address = upstream_of(gateway.root)
        answered = _answered(gateway) if gateway.callees else None
        connected = names.GATEWAY_UPSTREAM_CONNECT_S in gateway.root.attributes
        key = address, answered, connected
        if key not in self._behind:
            meant = self._meant(address)
            processes = sorted(meant) if answered is None else [answered]
            starved = [self._starved[process] for process in processes if process in self._starved]
            stalls = self.of(processes)
            if connected:
                # Its machine took the connection: it is there, whatever it does.
                stalls += self._untold(processes, address, meant)
                starved += self._untold_starving(processes, address, meant)
            self._behind[key] = stalls, starved
        return self._behind[key]

    def _untold(
        self, processes: Sequence[Process], address: str, meant: set[Process]
    ) -> list[Timeline[Stall]]:
        """Return the stalls that went on though their process could not tell it any more."""
        found = (
            self._silence.after(stall, address, meant - {process})
            for process in processes
            for stall in self._open.get(process, ())
        )
        return [Timeline([row]) for row in found if row is not None]

    def _untold_starving(
        self, processes: Sequence[Process], address: str, meant: set[Process]
    ) -> list[Timeline[Vitals]]:
        """Return the times in which those had no core that could not tell it any more."""
        last = {p: self._last[p] for p in processes if p in self._last}
        found = (
            self._silence.starved_after(vitals, address, meant - {process})
            for process, vitals in last.items()
            if could_not_run(vitals)
        )
        return [Timeline([row]) for row in found if row is not None]

    def _meant(self, address: str) -> set[Process]:
        port = address.rpartition(":")[2]
        told = set().union(*self._by_port.values())
        known = self._stalls.keys() | self._starved.keys()
        meant = self._by_port.get(port) or known - (told if port else set())
        # Of two machines with the same port, requests that both sides saw tell which is which.
        elsewhere = set().union(*(met for other, met in self._met.items() if other != address))
        return meant - (elsewhere - self._met.get(address, set()))


def _answered(gateway: Activity) -> Process:
    """Return who took up the last attempt: that is the address which the gateway tells."""
    return process_of(max((c.root for c in gateway.callees), key=attrgetter("start_ns")))


def _is_statement(_wait: Wait, segment: Segment) -> bool:
    """A session that waits for a lock is inside a statement, told by a span or by nobody."""
    if segment.kind == "ext":
        return peer_of(segment.source.attributes) == "db"
    return segment.kind == "run"
