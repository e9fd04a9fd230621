"""Leaves: what blame comes to rest on, and what is known about it.

`peer` says what kind of thing was waited for: peers.py.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Final

from why504 import names
from why504.diagnose.activity import Activity, Segment, route_of
from why504.diagnose.outsiders import now_at, who_has
from why504.diagnose.peers import (
    CLIENT,
    awaits_body,
    call_name,
    peer_named,
    peer_of,
    peer_on,
    status_of,
)
from why504.model import Hold, Leaf, Site, Span, Stall, Vitals, Wait

Source = Span | Stall | Hold | Vitals
"""In what a leaf can be seen."""
POOLS: Final = (names.pool(""), names.http_pool(""), names.redis_pool(""))
"""Beginnings of the resources that are pools of connections, of whatever client."""
LEAK_AFTER_NS: Final = 1_000_000_000
"""A hold that outlives its request by less is tidying up."""


@dataclass(slots=True)
class Resting:
    """All blame that came to rest on one leaf."""

    leaf: Leaf
    peer: str = ""
    """llm, broker, db, cache, http, client, or empty; of a ring lock where the user named what is
    in it."""
    seconds: float = 0.0
    by_resource: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """Resource passed last before the leaf (empty: none) -> seconds."""
    by_trace: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    by_site: dict[Site, float] = field(default_factory=lambda: defaultdict(float))
    sources: dict[str, Source] = field(default_factory=dict)
    """Span id -> the span or record in which it can be seen."""

    @property
    def site(self) -> Site | None:
        """Return the line of code that has most of the blame."""
        return max(self.by_site, key=lambda site: self.by_site[site], default=self.leaf.site)

    @property
    def located(self) -> Leaf:
        """Return the leaf with that line."""
        return replace(self.leaf, site=self.site)

    @property
    def traces(self) -> list[str]:
        """Return the traces in which it can be seen, most blamed first."""
        return sorted(self.by_trace, key=lambda trace_id: -self.by_trace[trace_id])

    @property
    def resource(self) -> str:
        """Return the resource through which most of its blame came; empty for none."""
        return max(self.by_resource, key=lambda key: self.by_resource[key], default="")


def leaf_of(segment: Segment, activity: Activity) -> tuple[Leaf, str]:
    """Return the leaf of a segment that passes its blame to nobody, and the kind of its peer."""
    source = segment.source
    if isinstance(source, Stall):
        return stall_leaf(source)
    if isinstance(source, Vitals):
        return Leaf("starved", f"{source.resource.replace(':', ' ')}, which could not run"), ""
    if segment.kind == "backoff":
        return _backoff_leaf(source)
    if isinstance(source, Wait):
        return unheld_leaf(source.resource), ""
    return _span_leaf(segment, source, activity)


def _span_leaf(segment: Segment, source: Span, activity: Activity) -> tuple[Leaf, str]:
    if segment.kind == "gap":
        return _gap_leaf(segment, source, activity), ""
    if segment.kind == "ext":
        return Leaf("ext", call_name(source)), peer_of(source.attributes)
    return _run_leaf(source, activity)


def stall_leaf(stall: Stall) -> tuple[Leaf, str]:
    """Return the leaf of a loop that does not turn: the line that does not return."""
    what = stall.site.function if stall.site else "code without a known line"
    return Leaf("stall", what, stall.site), peer_on(stall.stack, stall.site)


def _backoff_leaf(source: Span | Wait) -> tuple[Leaf, str]:
    """Return the leaf of a pause between two attempts; the earlier one's status is its cause."""
    if isinstance(source, Wait):
        name = source.resource.partition(":")[2]
        peer, status = peer_named(name), source.attributes.get(names.BACKOFF_STATUS)
    else:
        name, peer, status = (
            call_name(source),
            peer_of(source.attributes),
            status_of(source.attributes),
        )
    after = f" that followed {status}" if status else " that followed an error"
    return Leaf("backoff", f"a pause before the next attempt at {name}{after}"), peer


def unheld_leaf(resource: str) -> Leaf:
    """Return the leaf of a wait for something that nobody is known to have."""
    return Leaf("unknown", f"{resource}: nobody is known to have held it")


def after_leaf(hold: Hold, taken: Hold, owner: Activity | None, time_ns: int) -> tuple[Leaf, str]:
    """Return the leaf of a hold at a time at which nothing is known that its owner did.

    Args:
        hold: of the blamed resource.
        taken: the pool's hold behind it if it is a database lock, else the same.
        owner: whose it is, if known.
        time_ns: Unix nanoseconds.
    """
    told_ns = taken.end_ns or taken.last_seen_ns
    if owner is None:
        # Of a request that nobody sampled, the hold itself says that it is over.
        ended = taken.end_ns is None and taken.attributes.get(names.REQUEST_ENDED) is True
        return _leak_leaf(taken) if ended else _stranger_leaf(hold)
    if owner.root.end_ns is None or time_ns < owner.idle_ns:
        what = f"{taken.resource} held by {owner.route}, which told nothing meanwhile"
        return Leaf("unknown", what, taken.site), ""
    if told_ns - owner.idle_ns <= LEAK_AFTER_NS:
        return Leaf("run", f"own code of {owner.route}", taken.site), ""
    if taken.end_ns is None and taken.stack:
        # Its task was seen at work after the request had been answered.
        what = f"work of {owner.route} that goes on after its end"
        return Leaf("run", what, taken.site), peer_on(taken.stack, None)
    return _leak_leaf(taken)


def _leak_leaf(taken: Hold) -> tuple[Leaf, str]:
    return Leaf("leak", f"{taken.resource} kept after its request had ended", taken.site), ""


def _stranger_leaf(hold: Hold) -> tuple[Leaf, str]:
    """Return the leaf of a hold that no request is known to have."""
    said = hold.attributes.get(names.LOCK_SESSION)
    if hold.resource.startswith("db.lock:"):
        pid = hold.attributes.get(names.BACKEND_PID, "?")
        return Leaf("session", f"database session {pid} ({said or 'unknown session'})"), ""
    if hold.resource.startswith("broker:"):
        return Leaf("ext", f"{hold.resource}, kept by {said or 'an alarm'}"), "broker"
    at = now_at(hold)
    if at is not None:
        return Leaf("run", f"{at.function} in {who_has(hold)}", at), peer_on(hold.stack, at)
    return Leaf("unknown", f"{hold.resource} held by {who_has(hold)}", hold.site), ""


def _gap_leaf(segment: Segment, span: Span, activity: Activity) -> Leaf:
    if span.service == names.GATEWAY_SERVICE:
        place = span.attributes.get(names.GATEWAY_UPSTREAM_ADDRESS) or "the application"
    else:
        place = call_name(span)
    if taken_up(segment, activity):
        return Leaf("unknown", f"sent to {place}, which told nothing of it meanwhile")
    return Leaf("unknown", f"sent to {place}, not taken up by the application")


def taken_up(segment: Segment, activity: Activity) -> bool:
    """Return whether somebody had begun to work on a call before this gap in it."""
    return any(callee.root.start_ns < segment.end_ns for callee in activity.callees)


def _run_leaf(span: Span, activity: Activity) -> tuple[Leaf, str]:
    if awaits_body(span.stack, span.site):
        return Leaf("ext", "the client, which has not sent the rest of its request"), CLIENT
    # A served request has the address and path of its server, not those of a peer; a message that
    # is worked on has left its broker.
    peer = "" if span.kind in ("server", "consumer") else peer_of(span.attributes)
    if peer in ("", "http"):
        peer = peer_on(span.stack, span.site)
    what = span.site.function if span.site else f"own code of {route_of(activity.root)}"
    return Leaf("run", what, span.site), peer
