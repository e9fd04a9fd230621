"""The present: what every open request does at this instant, and who has what it waits for.

The engine's own activities and overlays, over what is open. The latest word of each process counts
as one and the same instant, so neither clocks that disagree nor the delay of delivery turn it.
Of a request that tells the same again nothing is found out again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from typing import Final, NamedTuple

from why504 import names
from why504.diagnose.activities import Activities
from why504.diagnose.activity import Activity, Segment
from why504.diagnose.blame import MOST_HOPS, Blamer, resource_key
from why504.diagnose.kept import GoingOn, Item, Key
from why504.diagnose.leaves import leaf_of
from why504.diagnose.overlay import Backends, lay_locks, lay_stalls
from why504.diagnose.peers import call_name, failed, with_nested_calls
from why504.model import Evidence, Hold, Site, Span, Stall, Vitals, Wait, Window


class Frontier(NamedTuple):
    """What an open request does now."""

    root: Span
    route: str
    state: str
    """A state of `now.Stuck`."""
    does: str
    site: Site | None
    awaited: str
    """The resource that it waits for, itself or in the call it awaits; empty for none."""
    resource: str
    """Its key: of a pool or loop there is one in each process."""
    since_ns: int
    """Since when, on the clock of the request's process."""


class Owner(NamedTuple):
    """Whose a hold or stall is."""

    root: Key
    route: str
    ended: bool


class Present:
    """What is found out about this instant, kept up to date."""

    def __init__(self) -> None:
        self.frontiers: dict[str, list[Frontier]] = {}
        """Trace id -> its open requests, one a process."""
        self.owners: dict[Key, Owner] = {}
        """Of every hold and stall whose owner is known."""
        self._known: dict[str, tuple[int, int]] = {}
        self._overlay: frozenset[Key] = frozenset()

    def update(self, going_on: Sequence[GoingOn], heard_ns: Mapping[str, int]) -> None:
        """Find out what is new in the traces that go on; forget all others."""
        overlay = frozenset(
            (item.trace_id, item.span_id)
            for one in going_on
            for item in one.open
            if _overlays(item)
        )
        known = self._known if overlay == self._overlay else {}
        self._overlay = overlay
        self._known = {one.trace_id: (one.trace.version, len(one.open)) for one in going_on}
        # Who has something is looked at each time: that connection may be the one that has a lock.
        changed = [
            one for one in going_on
            if one.trace.has or known.get(one.trace_id) != self._known[one.trace_id]
        ]  # fmt: skip
        before = self.frontiers
        self.owners = {}
        self.frontiers = {}
        self._find_out(changed, heard_ns)
        for one in going_on:
            if one.trace_id not in self.frontiers:
                self.frontiers[one.trace_id] = before.get(one.trace_id, [])

    def _find_out(self, changed: Sequence[GoingOn], heard_ns: Mapping[str, int]) -> None:
        evidence, shift_ns = _at_one_instant(changed, heard_ns)
        now_ns = evidence.window.end_ns
        activities = Activities(evidence)
        backends = Backends(evidence)
        lay_locks(evidence, activities, backends)
        lay_stalls(evidence, activities)
        blamer = Blamer(evidence, activities, backends)
        for one in changed:
            self.frontiers[one.trace_id] = []
        for activity in activities:
            root = activity.root
            if root.end_ns is None and root.service != names.GATEWAY_SERVICE:
                back_ns = shift_ns.get(root.instance, 0)
                self.frontiers[root.trace_id].append(_frontier(activity, now_ns, back_ns))
        for hold in evidence.holds:
            self._own(hold, blamer.owner_at(hold, now_ns - 1).activity)
        for stall in evidence.stalls:
            self._own(stall, activities.behind(stall))

    def _own(self, record: Hold | Stall, activity: Activity | None) -> None:
        if activity is not None:
            root = activity.root
            owner = Owner((root.trace_id, root.span_id), activity.route, root.end_ns is not None)
            self.owners[record.trace_id, record.span_id] = owner


def reached(keys: Iterable[str], onward: Mapping[str, Set[str]]) -> set[str]:
    """Return resources, and those that are kept by whoever waits for them, and so on."""
    found = set(keys)
    edge = set(found)
    for _ in range(MOST_HOPS):
        edge = {key for kept in edge for key in onward.get(kept, ())} - found
        if not edge:
            break
        found |= edge
    return found


def _overlays(item: Item) -> bool:
    """Return whether something changes what others do: it is laid over their own story."""
    return isinstance(item, Stall) or (
        isinstance(item, Wait) and item.resource.startswith("db.lock:")
    )


def _at_one_instant(
    going_on: Sequence[GoingOn], heard_ns: Mapping[str, int]
) -> tuple[Evidence, Mapping[str, int]]:
    """Return what is open with what it hangs on, all processes last heard of at the same moment.

    That moment, the end of the window, is the one of the process that tells most: the others are
    moved, by what is returned too.
    """
    items: list[Item] = []
    for one in going_on:
        items += map(one.trace.as_told, one.open)
        if len(one.trace.items) > len(one.trace.open):
            items += _around(one)
    items = [item for item in items if not isinstance(item, Vitals)]
    most = Counter(item.instance for item in items).most_common(1)
    now_ns = heard_ns.get(most[0][0], 0) if most else 0
    shift_ns = {instance: now_ns - told_ns for instance, told_ns in heard_ns.items()}
    moved = [_moved(item, shift_ns.get(item.instance, 0)) for item in items]
    told = Evidence.of(moved, Window(0, now_ns), dict.fromkeys(shift_ns, now_ns))
    return replace(told, spans=with_nested_calls(told)), shift_ns


def _around(one: GoingOn) -> Iterator[Item]:
    """Yield what ended of a trace and still matters: ancestors, servers, attempts that failed."""
    items = one.trace.items
    ancestors: set[str] = set()
    for item in one.open:
        parent_id = item.parent_id
        while parent_id and parent_id not in ancestors and parent_id in items:
            ancestors.add(parent_id)
            parent_id = items[parent_id].parent_id
    for item in items.values():
        if not isinstance(item, Span) or item.end_ns is None:
            continue
        attempt = item.kind == "client" and failed(item)
        wanted = item.span_id in ancestors or item.kind == "server" or attempt
        if wanted and item.service != names.GATEWAY_SERVICE:
            yield item


def _moved(item: Item, shift_ns: int) -> Item:
    if not shift_ns:
        return item
    return replace(
        item,
        start_ns=item.start_ns + shift_ns,
        end_ns=None if item.end_ns is None else item.end_ns + shift_ns,
        last_seen_ns=item.last_seen_ns + shift_ns,
    )


def _frontier(activity: Activity, now_ns: int, shift_ns: int) -> Frontier:
    root = activity.root
    own = _at(activity, now_ns) or Segment(root.start_ns, now_ns, "run", root)
    inner = own
    for _ in range(MOST_HOPS):
        deeper = _at(inner.callee, now_ns) if inner.callee else None
        if deeper is None:
            break
        inner = deeper
    awaited = _awaited(inner, root.trace_id)
    # The line of a stall is that of whoever blocks the loop.
    site = root.site if isinstance(awaited, Stall) else own.source.site or root.site
    return Frontier(
        root=replace(root, start_ns=root.start_ns - shift_ns) if shift_ns else root,
        route=activity.route,
        state="behind" if own.kind == "stall" and awaited else _STATES[own.kind],
        does=_does(own, activity, awaited),
        site=site,
        awaited=awaited.resource if awaited else "",
        resource=resource_key(awaited) if awaited else "",
        since_ns=(max(root.start_ns, awaited.start_ns) if awaited else root.start_ns) - shift_ns,
    )


def _at(activity: Activity, now_ns: int) -> Segment | None:
    return next(activity.between(now_ns - 1, now_ns), None)


def _awaited(segment: Segment, trace_id: str) -> Wait | Stall | None:
    source = segment.source
    if isinstance(source, Wait):
        return source if segment.kind == "wait" else None
    # Else it blocks the loop itself.
    return source if isinstance(source, Stall) and source.trace_id != trace_id else None


_STATES: Final = {
    "run": "runs", "ext": "calls", "call": "calls", "gap": "calls", "wait": "waits",
    "backoff": "pauses", "stall": "blocks",
}  # fmt: skip
"""Kind of a segment -> state of a request."""


def _does(own: Segment, activity: Activity, awaited: Wait | Stall | None) -> str:
    source = own.source
    if own.callee is not None:
        inner = f", which waits for {awaited.resource}" if awaited else ""
        return f"in call to {own.callee.route} of {own.callee.root.service}{inner}"
    if isinstance(source, Stall):
        return "waits for the event loop" if awaited else "blocks the event loop"
    if own.kind == "backoff":
        return leaf_of(own, activity)[0].what
    if isinstance(source, Wait):
        return f"waits for {source.resource}"
    if isinstance(source, Span) and own.kind in ("ext", "gap"):
        return f"in call to {call_name(source)}"
    return f"runs {source.site}" if source.site else "runs its own code"
