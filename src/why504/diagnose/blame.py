"""Blame: the victims' lost seconds, passed on until they rest. None is made, none is lost.

Each pass cuts pieces of lost time by what the blamed activity did meanwhile: own code and peers
keep it; a wait hands it to whoever held that resource at each instant. Why seconds: docs/adr/0004.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from why504 import names
from why504.diagnose.activities import Activities, Activity, Segment
from why504.diagnose.leaves import (
    Resting,
    leaf_of,
    leak_leaf,
    session_leaf,
)
from why504.diagnose.overlay import Backends
from why504.diagnose.slots import Slots
from why504.diagnose.steps import Piece, share_out
from why504.model import Evidence, Hold, Leaf, Record, Span, Stall, Wait

MOST_HOPS = 12
"""Longest chain of resources that is followed; real ones have two or three."""
LEAK_AFTER_NS = 1_000_000_000
"""A hold that outlives its request by less is tidying up."""
_SHARED = ("db.lock:", "broker:", "llm:")

VICTIMS = "victims"
"""Source of all blame in the flow."""


@dataclass(frozen=True, slots=True)
class Blamed:
    """A piece of lost time on its way: whose it is, and the resource that it came through."""

    activity: Activity
    piece: Piece
    via: str


@dataclass(slots=True)
class Verdict:
    """Where all blame went."""

    resting: dict[tuple[str, str, str], Resting] = field(default_factory=dict)
    flow: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    """(from, to) -> seconds; nodes are VICTIMS, resource keys and leaves' keys."""

    @property
    def seconds(self) -> float:
        """Return the blame that came to rest, in seconds."""
        return math.fsum(r.seconds for r in self.resting.values())


def leaf_key(leaf: Leaf) -> tuple[str, str, str]:
    """Return what makes two leaves the same: a peer is one wherever it is called from."""
    return leaf.kind, leaf.what, str(leaf.site or "") if leaf.kind != "ext" else ""


def resource_key(record: Record) -> str:
    """Return the resource; one of an instance is not its namesake of another instance."""
    if record.resource.startswith(_SHARED):
        return record.resource
    return f"{record.resource} of {record.instance}"


class Blamer:
    """Passes blame on over some evidence."""

    def __init__(self, evidence: Evidence, activities: Activities, backends: Backends) -> None:
        self._activities = activities
        self._backends = backends
        self._heard_ns = evidence.heard_ns
        self._holds: dict[str, list[Hold]] = defaultdict(list)
        for hold in sorted(evidence.holds, key=lambda h: h.start_ns):
            self._holds[resource_key(hold)].append(hold)
        self._waits: dict[str, list[Wait]] = defaultdict(list)
        for wait in evidence.waits:
            self._waits[resource_key(wait)].append(wait)
        self._stalls: dict[str, list[Stall]] = defaultdict(list)
        for stall in evidence.stalls:
            self._stalls[resource_key(stall)].append(stall)
        self._slots: dict[str, Slots] = {}

    def holds_of(self, resource: str) -> Sequence[Hold]:
        """Return the holds of a resource key, oldest first."""
        return self._holds.get(resource, [])

    def waits_of(self, resource: str) -> Sequence[Wait]:
        """Return the waits for a resource key."""
        return self._waits.get(resource, [])

    def stalls_of(self, loop: str) -> Sequence[Stall]:
        """Return the stalls of a loop's resource key."""
        return self._stalls.get(loop, [])

    def holders_at(self, resource: str, time_ns: int) -> list[Hold]:
        """Return who held a resource at a moment, the longest holder first."""
        if resource not in self._slots:
            rows = [(h.start_ns, self.hold_end(h), h) for h in self.holds_of(resource)]
            self._slots[resource] = Slots(rows)
        return self._slots[resource].at(time_ns)

    def hold_end(self, hold: Hold) -> int:
        """Return the end of a hold; what is open lasts until its instance fell silent."""
        if hold.end_ns is not None:
            return hold.end_ns
        return max(hold.last_seen_ns, self._heard_ns.get(hold.instance, 0))

    def holder(self, hold: Hold) -> Activity | None:
        """Return the activity that has a hold; a lock's is found by its database backend."""
        taken = self._taken_by(hold)
        return self._activities.of(taken.trace_id, taken.parent_id, taken.instance)

    def _taken_by(self, hold: Hold) -> Hold:
        """Return the pool's hold behind a database lock, any other hold itself."""
        if not hold.resource.startswith("db.lock:"):
            return hold
        pid = hold.attributes.get(names.BACKEND_PID)
        return self._backends.holder(pid, hold.start_ns, self.hold_end(hold)) or hold

    def blame(self, victims: Sequence[tuple[Activity, int, int]]) -> Verdict:
        """Pass on the seconds of `(activity, start_ns, end_ns)` until they rest."""
        verdict = Verdict()
        live = [
            Blamed(activity, Piece(start_ns, end_ns, (end_ns - start_ns) / 1e9), VICTIMS)
            for activity, start_ns, end_ns in victims
        ]
        for _ in range(MOST_HOPS):
            waiting: dict[str, list[Blamed]] = defaultdict(list)
            for blamed in live:
                self._cut(blamed, waiting, verdict)
            live = []
            for resource, crowd in waiting.items():
                live.extend(self._pass_to_holders(resource, crowd, verdict))
            if not live:
                return verdict
        for blamed in live:
            leaf = Leaf("cycle", f"holders of {_plain(blamed.via)} that wait for one another")
            _rest(verdict, blamed, leaf, "", None)
        return verdict

    def _cut(self, blamed: Blamed, waiting: dict[str, list[Blamed]], verdict: Verdict) -> None:
        """Cut one piece by what its activity did; what it waited through goes to `waiting`."""
        todo = [(blamed.activity, blamed.piece)]
        while todo:
            activity, piece = todo.pop()
            for segment in activity.between(piece.start_ns, piece.end_ns):
                a_ns, b_ns = segment.start_ns, segment.end_ns
                part = Piece(a_ns, b_ns, piece.part(a_ns, b_ns))
                mine = Blamed(activity, part, blamed.via)
                if segment.kind == "call" and segment.callee is not None:
                    todo.append((segment.callee, part))
                elif isinstance(segment.source, Wait):
                    key = resource_key(segment.source)
                    verdict.flow[blamed.via, key] += part.seconds
                    waiting[key].append(mine)
                else:
                    self._settle(mine, segment, verdict)

    def _settle(self, blamed: Blamed, segment: Segment, verdict: Verdict) -> None:
        leaf, peer = leaf_of(segment, blamed.activity)
        source = segment.source
        if isinstance(source, Stall):
            loop = resource_key(source)
            verdict.flow[blamed.via, loop] += blamed.piece.seconds
            blamed = Blamed(blamed.activity, blamed.piece, loop)
        _rest(verdict, blamed, leaf, peer, source if not isinstance(source, Wait) else None)

    def _pass_to_holders(
        self, resource: str, crowd: list[Blamed], verdict: Verdict
    ) -> list[Blamed]:
        """Hand a crowd's waiting to those who held the resource, each instant for itself."""
        holds = [(hold, hold.start_ns, self.hold_end(hold)) for hold in self.holds_of(resource)]
        shared = share_out([b.piece for b in crowd], [(a, b) for _, a, b in holds])
        passed: list[Blamed] = []
        for piece in shared.unheld:
            nobody = Leaf("unknown", f"{_plain(resource)}: nobody is known to have held it")
            _rest(verdict, Blamed(crowd[0].activity, piece, resource), nobody, "", None)
        if not shared.times_ns:
            return passed
        for hold, hold_start_ns, hold_end_ns in holds:
            start_ns = max(hold_start_ns, shared.times_ns[0])
            end_ns = min(hold_end_ns, shared.times_ns[-1])
            if start_ns < end_ns and shared.owed_at(end_ns) > shared.owed_at(start_ns):
                passed.extend(self._to_holder(hold, (start_ns, end_ns), shared.owed_at, verdict))
        return passed

    def _to_holder(
        self,
        hold: Hold,
        span_ns: tuple[int, int],
        owed_at: Callable[[int], float],
        verdict: Verdict,
    ) -> list[Blamed]:
        """Spread what one holder owes over what it did while it held."""
        resource, (start_ns, end_ns) = resource_key(hold), span_ns
        activity = self.holder(hold)
        passed: list[Blamed] = []
        at_ns = start_ns
        if activity is not None:
            for segment in activity.between(start_ns, end_ns):
                self._beyond(
                    hold,
                    activity,
                    Piece(at_ns, segment.start_ns, owed_at(segment.start_ns) - owed_at(at_ns)),
                    verdict,
                )
                at_ns = segment.end_ns
                owed_s = owed_at(segment.end_ns) - owed_at(segment.start_ns)
                if owed_s > 0:
                    piece = Piece(segment.start_ns, segment.end_ns, owed_s)
                    passed.append(Blamed(activity, piece, resource))
        rest = Piece(at_ns, end_ns, owed_at(end_ns) - owed_at(at_ns))
        self._beyond(hold, activity, rest, verdict)
        return passed

    def _beyond(
        self, hold: Hold, activity: Activity | None, piece: Piece, verdict: Verdict
    ) -> None:
        """Settle what is owed for a time in which the holder did nothing that we know of."""
        if piece.start_ns >= piece.end_ns:
            return
        key = resource_key(hold)
        if hold.resource.startswith("db.lock:") and activity is None:
            leaf = session_leaf(hold)
        elif activity is not None and self.hold_end(hold) - activity.end_ns > LEAK_AFTER_NS:
            leaf = leak_leaf(self._taken_by(hold))
        elif activity is not None:
            leaf = Leaf("run", f"own code of {activity.route}", hold.site)
        else:
            leaf = Leaf("unknown", f"{hold.resource} held by a request without spans", hold.site)
        owner = activity or Activity(_unseen(hold), piece.end_ns)
        _rest(verdict, Blamed(owner, piece, key), leaf, "", hold)


def _rest(
    verdict: Verdict, blamed: Blamed, leaf: Leaf, peer: str, source: Span | Stall | Hold | None
) -> None:
    """Let a piece come to rest."""
    key = leaf_key(leaf)
    resting = verdict.resting.setdefault(key, Resting(leaf, peer))
    seconds = blamed.piece.seconds
    resting.seconds += seconds
    resting.by_resource[blamed.via if blamed.via != VICTIMS else ""] += seconds
    trace_id = source.trace_id if isinstance(source, Stall) else blamed.activity.root.trace_id
    resting.by_trace[trace_id] += seconds
    if source is not None:
        resting.sources.setdefault(source.span_id, source)
        if source.site is not None:
            resting.by_site[source.site] += seconds
    verdict.flow[blamed.via, "|".join(key)] += seconds


def _plain(resource: str) -> str:
    """Return a resource key without the instance: `db.pool:main`."""
    return resource.partition(" of ")[0]


def _unseen(hold: Hold) -> Span:
    """Return a stand-in for a holder that has no span."""
    return Span(
        hold.trace_id, hold.parent_id or "", None, "unseen", "internal",
        hold.start_ns, hold.end_ns, hold.last_seen_ns, hold.service, hold.instance,
    )  # fmt: skip
