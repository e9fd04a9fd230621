"""Activities: what each request did, moment by moment, inside one process.

An activity is the subtree of a local root span. Its timeline is cut into segments by the leaf rule:
at any moment, among the children still open, the one that ends last; without any, the span itself.
Definitions: docs/how-blame-works.md.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from why504 import names
from why504.model import Evidence, Span, Stall, Wait

Node = Span | Wait
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Segment:
    """One stretch of an activity's timeline.

    `kind` is run (own code), ext (a peer that we can't see into), wait (for a resource),
    call (another activity), stall (the loop turned for nobody) or gap (sent, not yet begun).
    """

    start_ns: int
    end_ns: int
    kind: str
    source: Span | Wait | Stall
    callee: Activity | None = None

    def clip(self, start_ns: int, end_ns: int) -> Segment:
        """Return the part inside `[start_ns, end_ns)`."""
        if start_ns <= self.start_ns and self.end_ns <= end_ns:
            return self
        return replace(self, start_ns=max(start_ns, self.start_ns), end_ns=min(end_ns, self.end_ns))


@dataclass(slots=True)
class Activity:
    """Sequential work of one process for one request (or job)."""

    root: Span
    end_ns: int
    segments: list[Segment] = field(default_factory=list)
    """In order, disjoint, and together exactly `[root.start_ns, end_ns)`."""
    callees: list[Activity] = field(default_factory=list)
    """What other processes did for it, whenever they did it."""

    def between(self, start_ns: int, end_ns: int) -> Iterator[Segment]:
        """Yield the segments that overlap `[start_ns, end_ns)`, clipped, in order."""
        index = max(0, bisect_right(self.segments, start_ns, key=lambda s: s.start_ns) - 1)
        for segment in self.segments[index:]:
            if segment.start_ns >= end_ns:
                return
            if segment.end_ns > start_ns:
                yield segment.clip(start_ns, end_ns)

    def at(self, time_ns: int) -> Segment | None:
        """Return what it did at `time_ns`, or None outside its life."""
        return next(self.between(time_ns, time_ns + 1), None)

    @property
    def route(self) -> str:
        """Return the route for people: `POST /v1/conversations/end`."""
        return route_of(self.root)


def route_of(span: Span) -> str:
    """Return `METHOD /route` of a server span, else its name (a gateway knows no routes)."""
    route = span.attributes.get(names.HTTP_ROUTE)
    method = span.attributes.get(names.HTTP_METHOD)
    return f"{method} {route}" if route and method else span.name


class Activities:
    """All activities of some evidence, found by span."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._spans = {(s.trace_id, s.span_id): s for s in evidence.spans}
        self._roots: dict[tuple[str, str], Span] = {}
        self._by_place: dict[tuple[str, str], list[Span]] = defaultdict(list)
        self._by_root: dict[tuple[str, str], Activity] = {}
        self._build()

    def __iter__(self) -> Iterator[Activity]:
        return iter(self._by_root.values())

    def of(self, trace_id: str, span_id: str | None, instance: str = "") -> Activity | None:
        """Return the activity of a span, else the only one of that trace in that instance."""
        root = self._roots.get((trace_id, span_id or ""))
        if root is None:
            candidates = self._by_place.get((trace_id, instance), [])
            root = candidates[0] if candidates else None
        return self._by_root[root.trace_id, root.span_id] if root else None

    def end_of(self, node: Node) -> int:
        """Return the end of a span or wait; what is open lasts until its instance fell silent."""
        if node.end_ns is not None:
            return node.end_ns
        heard_ns = self._evidence.heard_ns.get(node.instance, node.last_seen_ns)
        return max(node.start_ns, node.last_seen_ns, heard_ns)

    def _build(self) -> None:
        for span in self._evidence.spans:
            self._find_root(span)
        self._adopt_orphans()
        children: dict[tuple[str, str], list[Node]] = defaultdict(list)
        callees: dict[tuple[str, str], list[Activity]] = defaultdict(list)
        for span in self._evidence.spans:
            root = self._roots[span.trace_id, span.span_id]
            if root is span:
                activity = Activity(span, self.end_of(span))
                self._by_root[span.trace_id, span.span_id] = activity
                if span.parent_id:
                    callees[span.trace_id, span.parent_id].append(activity)
            elif (parent := self._parent(span)) is not None and parent is not span:
                children[parent.trace_id, parent.span_id].append(span)
            else:
                children[root.trace_id, root.span_id].append(span)
        for wait in self._evidence.waits:
            self._attach_wait(wait, children)
        for (trace_id, span_id), root in self._roots.items():
            caller = self._by_root[root.trace_id, root.span_id]
            caller.callees.extend(callees.get((trace_id, span_id), ()))
        for activity in self:
            activity.segments = _cut(activity, children, callees, self)

    def _parent(self, span: Span) -> Span | None:
        """Return the parent if it belongs to the same process."""
        parent = self._spans.get((span.trace_id, span.parent_id or ""))
        if parent is None:
            return None
        same = (parent.service, parent.instance) == (span.service, span.instance)
        return parent if same else None

    def _find_root(self, span: Span) -> None:
        path: list[Span] = []
        seen: set[str] = set()
        node: Span | None = span
        while (
            node is not None and (known := self._roots.get((node.trace_id, node.span_id))) is None
        ):
            if node.span_id in seen:
                break  # a parent cycle: garbage in, one activity out
            seen.add(node.span_id)
            path.append(node)
            node = self._parent(node)
        root = known if node is not None and known is not None else path[-1]
        for member in path:
            self._roots[member.trace_id, member.span_id] = root
        if root is span:
            self._by_place[span.trace_id, span.instance].append(span)

    def _adopt_orphans(self) -> None:
        """A span whose parent never came belongs to the root that lived around it, if any."""
        adopted: dict[tuple[str, str], Span] = {}
        for roots in self._by_place.values():
            servers = [r for r in roots if r.kind == "server"]
            for orphan in roots:
                if orphan.kind == "server" or not orphan.parent_id:
                    continue
                around = (s for s in servers if s.start_ns <= orphan.start_ns < self.end_of(s))
                if (server := next(around, None)) is not None:
                    adopted[orphan.trace_id, orphan.span_id] = server
            roots[:] = [r for r in roots if (r.trace_id, r.span_id) not in adopted]
            roots.sort(key=lambda r: (r.kind != "server", r.start_ns))
        if adopted:
            for key, root in self._roots.items():
                self._roots[key] = adopted.get((root.trace_id, root.span_id), root)

    def _attach_wait(self, wait: Wait, children: dict[tuple[str, str], list[Node]]) -> None:
        if (wait.trace_id, wait.parent_id or "") in self._roots:
            children[wait.trace_id, wait.parent_id or ""].append(wait)
        elif activity := self.of(wait.trace_id, None, wait.instance):
            children[activity.root.trace_id, activity.root.span_id].append(wait)


def _cut(
    activity: Activity,
    children: dict[tuple[str, str], list[Node]],
    callees: dict[tuple[str, str], list[Activity]],
    activities: Activities,
) -> list[Segment]:
    """Cut an activity into segments by the leaf rule; an explicit stack, for deep traces."""
    segments: list[Segment] = []
    todo: list[tuple[Node, int, int]] = [(activity.root, activity.root.start_ns, activity.end_ns)]
    while todo:
        node, start_ns, end_ns = todo.pop()
        if isinstance(node, Wait):
            segments.append(Segment(start_ns, end_ns, "wait", node))
            continue
        key = (node.trace_id, node.span_id)
        inner = [(c, c.start_ns, activities.end_of(c)) for c in children.get(key, ())]
        taken = last_finishing(inner, start_ns, end_ns)
        todo.extend(taken)
        for free in gaps_between([(a, b) for _, a, b in taken], start_ns, end_ns):
            segments.extend(_own_time(node, callees.get(key, []), *free))
    return sorted(segments, key=lambda s: s.start_ns)


def last_finishing(
    children: Sequence[tuple[T, int, int]], start_ns: int, end_ns: int
) -> list[tuple[T, int, int]]:
    """Return which child is on the path when: at each moment the open one that ends last.

    Args:
        children: `(child, start_ns, end_ns)`, any order, may overlap and stick out.
        start_ns: begin of the parent.
        end_ns: end of the parent.

    Returns:
        Disjoint pieces inside the parent, in no order.
    """
    taken: list[tuple[T, int, int]] = []
    cut_ns = end_ns
    for child, child_start_ns, child_end_ns in sorted(children, key=lambda c: -c[2]):
        begin_ns, stop_ns = max(start_ns, child_start_ns), min(child_end_ns, cut_ns)
        if begin_ns < stop_ns:
            taken.append((child, begin_ns, stop_ns))
            cut_ns = begin_ns
    return taken


def gaps_between(
    taken: Sequence[tuple[int, int]], start_ns: int, end_ns: int
) -> Iterator[tuple[int, int]]:
    """Yield what the disjoint pieces leave free of `[start_ns, end_ns)`, in order."""
    at_ns = start_ns
    for piece_start_ns, piece_end_ns in sorted(taken):
        if at_ns < piece_start_ns:
            yield at_ns, piece_start_ns
        at_ns = max(at_ns, piece_end_ns)
    if at_ns < end_ns:
        yield at_ns, end_ns


def _own_time(span: Span, callees: list[Activity], start_ns: int, end_ns: int) -> Iterator[Segment]:
    """Yield a span's own time: with a callee that we know it is a call, and before it a gap."""
    is_gateway = span.service == names.GATEWAY_SERVICE
    if not callees and not is_gateway:
        yield Segment(start_ns, end_ns, "ext" if span.kind == "client" else "run", span)
        return
    calls = last_finishing([(c, c.root.start_ns, c.end_ns) for c in callees], start_ns, end_ns)
    for callee, call_start_ns, call_end_ns in calls:
        yield Segment(call_start_ns, call_end_ns, "call", span, callee)
    for free_start_ns, free_end_ns in gaps_between([(a, b) for _, a, b in calls], start_ns, end_ns):
        yield Segment(free_start_ns, free_end_ns, "gap", span)
