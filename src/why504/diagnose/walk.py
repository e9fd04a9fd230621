"""The walk: from one victim, at one moment, to whoever held what it waited for, to the end.

Blame (blame.py) says how much; the walk says who, for the table of 504s and the waterfall.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from why504 import names
from why504.diagnose.activity import Activity, Segment, flat, route_of
from why504.diagnose.blame import MOST_HOPS, Blamer, resource_key
from why504.diagnose.leaves import after_leaf, leaf_of, taken_up, unheld_leaf
from why504.diagnose.outsiders import who_has
from why504.diagnose.peers import status_of
from why504.diagnose.victims import GaveUp
from why504.model import Hold, Leaf, Span, Stall, Victim, Vitals, Wait

_FRONTIER_SHARE = 0.5
"""The span open at the end is the blocking one if it was open for this share of the window."""


@dataclass(frozen=True, slots=True)
class Step:
    """Where a walk came to rest, and the first holder on the way."""

    leaf: Leaf
    holder: Hold | Stall | None


class Walker:
    """Walks over the evidence that a Blamer knows."""

    def __init__(self, blamer: Blamer) -> None:
        self._blamer = blamer
        self._routes = blamer.activities.routes

    def victim(self, given_up: GaveUp, activity: Activity) -> Victim:
        """Tell one victim's story: what blocked it, who held that, where its time went."""
        told, gave_up_ns, how = given_up
        segments = flat(activity, told.start_ns, gave_up_ns)
        blocking = _blocking(segments, gave_up_ns - told.start_ns)
        seconds: dict[Leaf, float] = defaultdict(float)
        for segment, owner in segments:
            middle_ns = (segment.start_ns + segment.end_ns) // 2
            leaf = self._rest(segment, owner, middle_ns).leaf
            seconds[leaf] += (segment.end_ns - segment.start_ns) / 1e9
        segment, owner = blocking
        step = self._rest(segment, owner, segment.end_ns - 1)
        unknown_s = sum(s for leaf, s in seconds.items() if leaf.kind == "unknown")
        # Without a gateway the request told of itself.
        own = told if told.service != names.GATEWAY_SERVICE else None
        app = own or next((callee.root for callee in activity.callees), None)
        return Victim(
            trace_id=told.trace_id,
            span_id=told.span_id,
            route=route_of(app) if app else self._routes.get(told.name, told.name),
            start_ns=told.start_ns,
            gave_up_ns=gave_up_ns,
            status=_status(told),
            reached_app=app is not None or any(isinstance(s.source, Wait) for s, _ in segments),
            blocked_in=_name(segment, owner),
            blocking_span_id=segment.source.span_id,
            held_by=self._holder_name(step.holder),
            holder_trace_id=step.holder.trace_id if step.holder else None,
            leaf=max(seconds, key=lambda leaf: seconds[leaf]),
            explained_s=sum(seconds.values()) - unknown_s,
            unknown_s=unknown_s,
            how=how,
            stands_for=self._blamer.stands_for(told),
            service=_service(app, segment),
        )

    def _rest(self, segment: Segment, activity: Activity, time_ns: int) -> Step:
        """Follow the oldest holder, again and again, at one moment."""
        first: Hold | Stall | None = None
        for _ in range(MOST_HOPS):
            source = segment.source
            if isinstance(source, Stall):
                return Step(leaf_of(segment, activity)[0], first or source)
            if not isinstance(source, Wait) or segment.kind == "backoff":
                return Step(leaf_of(segment, activity)[0], first)
            hold = self._blamer.holder_at(resource_key(source), time_ns)
            if hold is None:
                return Step(unheld_leaf(source.resource), first)
            first = first or hold
            owner = self._blamer.owner_at(hold, time_ns)
            inner = self._at(owner.activity, time_ns) if owner.activity else None
            if inner is None:
                return Step(after_leaf(hold, owner.taken, owner.activity, time_ns)[0], first)
            segment, activity = inner
        return Step(Leaf("cycle", "requests that wait for one another"), first)

    def _at(self, activity: Activity, time_ns: int) -> tuple[Segment, Activity] | None:
        """Return what an activity did at a moment, or whoever it had called did."""
        return next(iter(flat(activity, time_ns, time_ns + 1)), None)

    def _holder_name(self, holder: Hold | Stall | None) -> str:
        if holder is None:
            return ""
        if isinstance(holder, Stall):
            return f"event loop blocked at {holder.site or 'an unknown line'}"
        owner = self._blamer.holder(holder)
        who = owner.route if owner else who_has(holder)
        return f"{who}, taken at {holder.site}" if holder.site else who


def _service(app: Span | None, blocking: Segment) -> str:
    """Return whose request it was; one that a blocked loop never took is that loop's."""
    if app is not None:
        return app.service
    return blocking.source.service if isinstance(blocking.source, Stall) else ""


def _blocking(segments: list[tuple[Segment, Activity]], window_ns: int) -> tuple[Segment, Activity]:
    """Return the frontier if it lasted half the window, else the longest of all."""
    frontier = segments[-1]
    if frontier[0].end_ns - frontier[0].start_ns >= window_ns * _FRONTIER_SHARE:
        return frontier
    return max(segments, key=lambda pair: pair[0].end_ns - pair[0].start_ns)


def _name(segment: Segment, owner: Activity) -> str:
    source = segment.source
    if segment.kind == "backoff":
        return leaf_of(segment, owner)[0].what
    if isinstance(source, Wait):
        return f"waiting for {source.resource}"
    if isinstance(source, Stall):
        return "waiting for the event loop"
    if isinstance(source, Vitals):
        return "waiting for a process that could not run"
    if segment.kind == "gap":
        return "nothing told" if taken_up(segment, owner) else "not taken up by the application"
    return source.name


def _status(told: Span) -> int:
    return status_of(told.attributes) or 0
