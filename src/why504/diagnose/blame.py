"""Blame: the victims' lost seconds, passed on until they rest. None is made, none is lost.

Each pass cuts pieces of lost time by what the blamed activity did meanwhile: own code and peers
keep it; a wait hands it to whoever held that resource at each instant. Why seconds: docs/adr/0004.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple, cast

import numpy as np

from why504 import names
from why504.diagnose.activities import Activities
from why504.diagnose.activity import Activity, Segment
from why504.diagnose.endings import end_of
from why504.diagnose.leaves import Resting, Source, after_leaf, leaf_of, unheld_leaf
from why504.diagnose.overlay import Backends
from why504.diagnose.rings import ring_leaf
from why504.diagnose.slots import Slots
from why504.diagnose.steps import Piece, Presence, Shared, gaps_between, share_out
from why504.diagnose.ways import VICTIMS, Carrier, LeafKey, Ways
from why504.model import Evidence, Hold, Leaf, Record, Span, Stall, Wait

MOST_HOPS = 12
"""Longest chain of resources that is followed; real ones have two or three."""
_SHARED = ("db.lock:", "broker:", "llm:")


class Blamed(NamedTuple):
    """A piece of lost time on its way: whose it is, and who passed it on."""

    activity: Activity
    piece: Piece
    by: Carrier


@dataclass(slots=True)
class Verdict:
    """Where all blame went."""

    resting: dict[LeafKey, Resting] = field(default_factory=dict)
    flow: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    """(from, to) -> seconds; nodes are VICTIMS, resource keys and leaves' keys."""
    ways: Ways = field(default_factory=Ways)
    """The same more closely: by route of the victims, and of the holders."""

    @property
    def seconds(self) -> float:
        """Return the blame that came to rest, in seconds."""
        return math.fsum(r.seconds for r in self.resting.values())


def leaf_key(leaf: Leaf) -> LeafKey:
    """Return what makes two leaves the same: a peer is one wherever it is called from."""
    return leaf.kind, leaf.what, str(leaf.site or "") if leaf.kind != "ext" else ""


def resource_key(record: Record) -> str:
    """Return the resource; one of an instance is not its namesake of another instance."""
    if record.resource.startswith(_SHARED):
        return record.resource
    return f"{record.resource} of {record.instance}"


class Owner(NamedTuple):
    """Who had a hold during `[start_ns, end_ns)`."""

    start_ns: int
    end_ns: int
    taken: Hold
    """The pool's hold behind a database lock, else the hold itself."""
    activity: Activity | None


class Blamer:
    """Passes blame on over some evidence."""

    def __init__(self, evidence: Evidence, activities: Activities, backends: Backends) -> None:
        self.evidence = evidence
        self.activities = activities
        self.backends = backends
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
        self._holders: dict[str, Presence] = {}
        self._stands_for = evidence.sample.stands_for if evidence.sample else {}

    def stands_for(self, item: Span | Record) -> float:
        """Return for how many alike something stands: more than itself in a sample."""
        return self._stands_for.get(item.trace_id, 1.0)

    def holders_of(self, resource: str) -> Presence:
        """Return how many held a resource when, those included that a sample left out."""
        if resource not in self._holders:
            told = self.evidence.sample.holders.get(resource) if self.evidence.sample else None
            holds = self.holds_of(resource)
            starts_ns = np.array([hold.start_ns for hold in holds], np.int64)
            ends_ns = np.array([self.end_of(hold) for hold in holds], np.int64)
            self._holders[resource] = told or Presence.of(starts_ns, ends_ns)
        return self._holders[resource]

    def holds_of(self, resource: str) -> Sequence[Hold]:
        """Return the holds of a resource key, oldest first."""
        return self._holds.get(resource, [])

    def waits_of(self, resource: str) -> Sequence[Wait]:
        """Return the waits for a resource key."""
        return self._waits.get(resource, [])

    def stalls_of(self, loop: str) -> Sequence[Stall]:
        """Return the stalls of a loop's resource key."""
        return self._stalls.get(loop, [])

    def holder_at(self, resource: str, time_ns: int) -> Hold | None:
        """Return who held a resource at a moment, of several the one that had it longest."""
        if resource not in self._slots:
            rows = [(h.start_ns, self.end_of(h), h) for h in self.holds_of(resource)]
            self._slots[resource] = Slots(rows)
        return self._slots[resource].at(time_ns)

    def owner_at(self, hold: Hold, time_ns: int) -> Owner:
        """Return who had a hold at a moment of it."""
        return next(o for o in self.owners(hold) if o.start_ns <= time_ns < o.end_ns)

    def end_of(self, item: Span | Record) -> int:
        """Return the end of a span or record; of what is open, until when it is known of."""
        return end_of(item, self._heard_ns)

    def holder(self, hold: Hold) -> Activity | None:
        """Return the activity that has a hold, the first one if a lock's went through several."""
        return next((o.activity for o in self.owners(hold) if o.activity is not None), None)

    def owners(self, hold: Hold) -> list[Owner]:
        """Return who had a hold when, in order and without a gap.

        A lock's owner is found by its database backend: whoever has that connection.
        """
        start_ns, end_ns = hold.start_ns, self.end_of(hold)
        if not hold.resource.startswith("db.lock:"):
            return [Owner(start_ns, end_ns, hold, self.activities.behind(hold))]
        rows = self.backends.holds(hold.attributes.get(names.BACKEND_PID), start_ns, end_ns)
        owners = [
            Owner(max(a, start_ns), min(b, end_ns), taken, self.activities.behind(taken))
            for a, b, taken in rows
        ]
        outside = gaps_between([(o.start_ns, o.end_ns) for o in owners], start_ns, end_ns)
        return sorted([*owners, *(Owner(a, b, hold, None) for a, b in outside)], key=itemgetter(0))

    def blame(self, victims: Sequence[tuple[Activity, Piece]], routes: Sequence[str]) -> Verdict:
        """Pass on the seconds of victims, whose routes are given too, until they rest."""
        verdict = Verdict()
        live = [
            Blamed(activity, piece, verdict.ways.carrier(VICTIMS, route))
            for (activity, piece), route in zip(victims, routes, strict=True)
        ]
        self._pass_on(live, verdict)
        verdict.flow = verdict.ways.flow()
        return verdict

    def _pass_on(self, live: Sequence[Blamed], verdict: Verdict) -> None:
        for _ in range(MOST_HOPS):
            waiting: dict[str, list[Blamed]] = defaultdict(list)
            for blamed in live:
                self._cut(blamed, waiting, verdict)
            live = [
                passed
                for resource, crowd in waiting.items()
                for passed in self._pass_to_holders(resource, crowd, verdict)
            ]
            if not live:
                return
        rings: dict[tuple[str, Activity], tuple[Leaf, str]] = {}
        for blamed in live:
            key = blamed.by.via, blamed.activity
            if key not in rings:
                middle_ns = (blamed.piece.start_ns + blamed.piece.end_ns) // 2
                last = plain(blamed.by.via)
                rings[key] = ring_leaf(blamed.activity, middle_ns, self._whose, last)
            _rest(verdict, blamed, *rings[key], None)

    def _whose(self, wait: Wait, time_ns: int) -> tuple[Hold, Activity | None] | None:
        """Return who had what a wait was for, and for whom."""
        hold = self.holder_at(resource_key(wait), time_ns)
        return None if hold is None else (hold, self.owner_at(hold, time_ns).activity)

    def _cut(self, blamed: Blamed, waiting: dict[str, list[Blamed]], verdict: Verdict) -> None:
        """Cut one piece by what its activity did; what it waited through goes to `waiting`."""
        todo = [(blamed.activity, blamed.piece)]
        while todo:
            activity, piece = todo.pop()
            for segment in activity.between(piece.start_ns, piece.end_ns):
                a_ns, b_ns = segment.start_ns, segment.end_ns
                part = Piece(a_ns, b_ns, piece.part(a_ns, b_ns))
                mine = Blamed(activity, part, blamed.by)
                if segment.kind == "call" and segment.callee is not None:
                    todo.append((segment.callee, part))
                elif segment.kind == "wait":
                    key = resource_key(cast(Wait, segment.source))
                    verdict.ways.seconds[blamed.by, key] += part.seconds
                    waiting[key].append(mine)
                else:
                    self._settle(mine, segment, verdict)

    def _settle(self, blamed: Blamed, segment: Segment, verdict: Verdict) -> None:
        leaf, peer = leaf_of(segment, blamed.activity)
        source = segment.source
        if isinstance(source, Stall):
            by = verdict.ways.blockers.get(source.span_id) or self._blocker(source, verdict)
            by.owe(source, source.trace_id, blamed.piece.seconds)
            verdict.ways.seconds[blamed.by, by.via] += blamed.piece.seconds
            blamed = Blamed(blamed.activity, blamed.piece, by)
        _rest(verdict, blamed, leaf, peer, source if not isinstance(source, Wait) else None)

    def _blocker(self, stall: Stall, verdict: Verdict) -> Carrier:
        """Return whose code blocks a loop."""
        activity = self.activities.behind(stall)
        by = verdict.ways.carrier(resource_key(stall), activity.route if activity else "")
        verdict.ways.blockers[stall.span_id] = by
        return by

    def _pass_to_holders(
        self, resource: str, crowd: list[Blamed], verdict: Verdict
    ) -> list[Blamed]:
        """Hand a crowd's waiting to those who held the resource, each instant for itself."""
        shared = share_out([b.piece for b in crowd], self.holders_of(resource))
        passed: list[Blamed] = []
        nobody = verdict.ways.carrier(resource)
        for piece in shared.unheld:
            blamed = Blamed(crowd[0].activity, piece, nobody)
            _rest(verdict, blamed, unheld_leaf(plain(resource)), "", None)
        owing = self._owing(resource, shared)
        held_s = shared.held_s
        if not owing and held_s > 0 and self.evidence.sample is not None:
            # A sample may have read none of those who held it just then.
            all_of_it = Piece(crowd[0].piece.start_ns, crowd[0].piece.end_ns, held_s)
            blamed = Blamed(crowd[0].activity, all_of_it, nobody)
            _rest(verdict, blamed, unheld_leaf(plain(resource)), "", None)
        told_s = math.fsum(owed_s for _, _, owed_s in owing)
        for hold, span_ns, _ in owing:
            # Those whom a sample read owe for those whom it left out.
            times = self.stands_for(hold) * held_s / told_s if self.evidence.sample else 1.0
            passed.extend(self._to_holder(hold, span_ns, _times(shared.owed_at, times), verdict))
        return passed

    def _owing(self, resource: str, shared: Shared) -> list[tuple[Hold, tuple[int, int], float]]:
        """Return who owes for a crowd's waiting, from when to when, and how many seconds."""
        if not len(shared.times_ns):
            return []
        first_ns, last_ns = int(shared.times_ns[0]), int(shared.times_ns[-1])
        owing = []
        for hold in self.holds_of(resource):
            start_ns, end_ns = max(hold.start_ns, first_ns), min(self.end_of(hold), last_ns)
            if start_ns < end_ns:
                owed_s = shared.owed_at(end_ns) - shared.owed_at(start_ns)
                if owed_s > 0:
                    owing.append((hold, (start_ns, end_ns), owed_s * self.stands_for(hold)))
        return owing

    def _to_holder(
        self,
        hold: Hold,
        span_ns: tuple[int, int],
        owed_at: Callable[[int], float],
        verdict: Verdict,
    ) -> list[Blamed]:
        """Spread what one holder owes over what it did while it held."""
        passed: list[Blamed] = []
        for owner in self.owners(hold):
            at_ns, end_ns = max(owner.start_ns, span_ns[0]), min(owner.end_ns, span_ns[1])
            if at_ns >= end_ns:
                continue
            first_s = owed_s = owed_at(at_ns)
            by = _carrier(hold, owner, verdict)
            segments = owner.activity.between(at_ns, end_ns) if owner.activity else ()
            # An empty last piece stands for the end, so that what follows the segments is owed too.
            for start_ns, stop_ns in (
                *((s.start_ns, s.end_ns) for s in segments),
                (end_ns, end_ns),
            ):
                begun_s, done_s = owed_at(start_ns), owed_at(stop_ns)
                piece = Piece(at_ns, start_ns, begun_s - owed_s)
                self._beyond(hold, owner, piece, by, verdict)
                if done_s > begun_s and owner.activity is not None:
                    piece = Piece(start_ns, stop_ns, done_s - begun_s)
                    passed.append(Blamed(owner.activity, piece, by))
                at_ns, owed_s = stop_ns, done_s
            if owner.activity is not None and owed_s > first_s:
                by.owe(hold, owner.activity.root.trace_id, owed_s - first_s)
        return passed

    def _beyond(
        self, hold: Hold, owner: Owner, piece: Piece, by: Carrier, verdict: Verdict
    ) -> None:
        """Settle what is owed for a time in which the holder did nothing that we know of."""
        if piece.seconds <= 0:
            return
        leaf, peer = after_leaf(hold, owner.taken, owner.activity, piece.start_ns)
        activity = owner.activity or Activity(_unseen(hold), piece.end_ns)
        _rest(verdict, Blamed(activity, piece, by), leaf, peer, owner.taken)


def _rest(
    verdict: Verdict,
    blamed: Blamed,
    leaf: Leaf,
    peer: str,
    source: Source | None,
) -> None:
    """Let a piece come to rest."""
    key = leaf_key(leaf)
    resting = verdict.resting.setdefault(key, Resting(leaf, peer))
    seconds = blamed.piece.seconds
    resting.seconds += seconds
    via = blamed.by.via
    resting.by_resource[via if via != VICTIMS else ""] += seconds
    trace_id = source.trace_id if isinstance(source, Stall) else blamed.activity.root.trace_id
    resting.by_trace[trace_id] += seconds
    if source is not None:
        resting.sources.setdefault(source.span_id, source)
        # Where it was taken is not where whoever has it is.
        if (site := leaf.site or source.site) is not None:
            resting.by_site[site] += seconds
    verdict.ways.seconds[blamed.by, key] += seconds


def _carrier(hold: Hold, owner: Owner, verdict: Verdict) -> Carrier:
    """Return those who have a resource; a holder without a request is known by its leaf only."""
    if owner.activity is None:
        return verdict.ways.carrier(resource_key(hold))
    return verdict.ways.carrier(resource_key(hold), owner.activity.route, owner.taken.site)


def _times(owed_at: Callable[[int], float], times: float) -> Callable[[int], float]:
    return owed_at if times == 1.0 else lambda time_ns: owed_at(time_ns) * times


def plain(resource: str) -> str:
    """Return a resource key without the instance: `db.pool:main`."""
    return resource.partition(" of ")[0]


def _unseen(hold: Hold) -> Span:
    """Return a stand-in for a holder that has no span."""
    return Span(
        hold.trace_id, hold.parent_id or "", None, "unseen", "internal",
        hold.start_ns, hold.end_ns, hold.last_seen_ns, hold.service, hold.instance,
    )  # fmt: skip
