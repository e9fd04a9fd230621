"""Activities: what each request did, moment by moment, inside one process.

An activity is the subtree of a local root span. Its timeline is cut into segments by the leaf rule:
at any moment, among the children still open, the one that ends last; without any, the span itself.
Definitions: docs/how-blame-works.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from operator import itemgetter

from why504 import names
from why504.diagnose.activity import Activity, Process, Segment, process_of
from why504.diagnose.endings import end_of
from why504.diagnose.peers import TOO_MANY_REQUESTS, call_name, failed, status_of
from why504.diagnose.steps import Timeline, gaps_between, last_finishing
from why504.model import Evidence, Record, Span, Wait

Node = Span | Wait
_BACKOFF = names.backoff("")
Key = tuple[str, str]
"""Trace id and span id."""


class Activities:
    """All activities of some evidence, found by span."""

    def __init__(self, evidence: Evidence) -> None:
        """Take evidence in which every span has an id of its own."""
        self._heard_ns = evidence.heard_ns
        self._spans = {(s.trace_id, s.span_id): s for s in evidence.spans}
        self._roots: dict[Key, Span] = {}
        self._by_place: dict[tuple[str, Process], list[Span]] = defaultdict(list)
        self._by_root: dict[Key, Activity] = {}
        for span in evidence.spans:
            self._find_root(span)
        self._adopt_orphans()
        self._grow(evidence)

    def __iter__(self) -> Iterator[Activity]:
        return iter(self._by_root.values())

    def of(self, span: Span) -> Activity:
        """Return the activity that a span is part of."""
        root = self._roots[span.trace_id, span.span_id]
        return self._by_root[root.trace_id, root.span_id]

    @cached_property
    def routes(self) -> dict[str, str]:
        """Return the application's route by the gateway's name for it, where there is only one.

        From requests that both saw, for those that only the gateway saw.
        """
        routes: dict[str, set[str]] = defaultdict(set)
        for activity in self:
            if activity.root.service == names.GATEWAY_SERVICE and activity.callees:
                routes[activity.root.name].add(activity.callees[0].route)
        return {name: next(iter(known)) for name, known in routes.items() if len(known) == 1}

    def behind(self, record: Record) -> Activity | None:
        """Return whose record it is: by its span, else the only one of its trace and process."""
        parent = self._spans.get((record.trace_id, record.parent_id or ""))
        if parent is not None:
            return self.of(parent)
        roots = self._by_place.get((record.trace_id, process_of(record)), [])
        candidates = [r for r in roots if r.kind == "server"] or roots
        return self.of(candidates[0]) if len(candidates) == 1 else None

    def _parent(self, span: Span) -> Span | None:
        """Return the parent if it belongs to the same process; a gateway's spans are calls."""
        parent = self._spans.get((span.trace_id, span.parent_id or ""))
        if parent is None or span.service == names.GATEWAY_SERVICE:
            return None
        return parent if process_of(parent) == process_of(span) else None

    def _find_root(self, span: Span) -> None:
        path: dict[str, Span] = {}
        node: Span | None = span
        root: Span | None = None
        # A parent cycle is garbage, and one activity all the same.
        while node is not None and root is None and node.span_id not in path:
            root = self._roots.get((node.trace_id, node.span_id))
            path[node.span_id] = node
            node = self._parent(node) if root is None and node.parent_id else None
        root = root or next(reversed(path.values()))
        for member in path.values():
            self._roots[member.trace_id, member.span_id] = root
        if root is span:
            self._by_place[span.trace_id, process_of(span)].append(span)

    def _adopt_orphans(self) -> None:
        """A span whose parent never came belongs to the root that lived around it, if any."""
        adopted: dict[Key, Span] = {}
        for roots in self._by_place.values():
            if len(roots) == 1:
                continue
            servers = Timeline(
                (r.start_ns, self._end_of(r), r) for r in roots if r.kind == "server"
            )
            for orphan in roots:
                if orphan.kind == "server" or not orphan.parent_id:
                    continue
                around = servers.overlapping(orphan.start_ns, orphan.start_ns + 1)
                if around:
                    adopted[orphan.trace_id, orphan.span_id] = around[0][2]
            roots[:] = [r for r in roots if (r.trace_id, r.span_id) not in adopted]
        if adopted:
            for key, root in self._roots.items():
                self._roots[key] = adopted.get((root.trace_id, root.span_id), root)

    def _grow(self, evidence: Evidence) -> None:
        tree = _Tree()
        for span in evidence.spans:
            root = self._roots[span.trace_id, span.span_id]
            end_ns = self._end_of(span)
            if root is span:
                self._by_root[span.trace_id, span.span_id] = Activity(span, end_ns, tree.cut)
                continue
            parent = self._parent(span) or root
            tree.children[parent.trace_id, parent.span_id].append((span, span.start_ns, end_ns))
            parent_end_ns = self._end_of(parent)
            if span.end_ns is None:
                end_ns = span.last_seen_ns
            if end_ns > parent_end_ns:
                row = (span, max(span.start_ns, parent_end_ns), end_ns)
                tree.detached[root.trace_id, root.span_id].append(row)
        self._link_calls(tree)
        self._attach_waits(evidence, tree)

    def _attach_waits(self, evidence: Evidence, tree: _Tree) -> None:
        gateways = {s.trace_id: s for s in evidence.spans if s.service == names.GATEWAY_SERVICE}
        for wait in evidence.waits:
            parent = self._spans.get((wait.trace_id, wait.parent_id or ""))
            if parent is None:
                activity = self.behind(wait)
                # Of a process that told no span, the request itself is all that is known.
                parent = activity.root if activity else gateways.get(wait.trace_id)
            if parent is not None:
                row = (wait, wait.start_ns, self._end_of(wait))
                tree.children[parent.trace_id, parent.span_id].append(row)

    def _link_calls(self, tree: _Tree) -> None:
        for (trace_id, span_id), caller in self._callers().items():
            activity, span = self._by_root[trace_id, span_id], self._spans[caller]
            row = (activity, activity.root.start_ns, activity.end_ns)
            tree.calls[caller].append(row)
            self.of(span).callees.append(activity)
        for key, calls in tree.calls.items():
            caller_span = self._spans[key]
            if caller_span.service == names.GATEWAY_SERVICE or caller_span.kind == "client":
                tree.calls[key] = _one_at_a_time(calls)

    def _callers(self) -> dict[Key, Key]:
        """Return the calling span of every root that was called; nobody waits for a consumer."""
        callers = {
            key: (key[0], activity.root.parent_id or "")
            for key, activity in self._by_root.items()
            if activity.root.kind != "consumer"
        }
        callers = {key: caller for key, caller in callers.items() if caller in self._spans}
        settled: set[Key] = set()
        for key in list(callers):
            path: set[Key] = set()
            node = key
            while node in callers and node not in settled:
                if node in path:  # garbage again: who calls himself was called by nobody
                    del callers[node]
                    break
                path.add(node)
                root = self._roots[callers[node]]
                node = (root.trace_id, root.span_id)
            settled |= path
        return callers

    def _end_of(self, item: Span | Record) -> int:
        return end_of(item, self._heard_ns)


def _one_at_a_time(calls: list[tuple[Activity, int, int]]) -> list[tuple[Activity, int, int]]:
    """Return the attempts of one call: whoever tries again has given up the attempt before."""
    rows = sorted(calls, key=itemgetter(1))
    clipped = [
        (activity, start_ns, min(end_ns, after[1]))
        for (activity, start_ns, end_ns), after in pairwise(rows)
    ]
    return [*clipped, rows[-1]]


def _tried_again(attempt: Span, then: Span | None) -> bool:
    """Return whether the time between two children is a pause between attempts at one peer.

    After a refusal for too many requests it is one even if no other attempt was told yet.
    """
    if attempt.kind != "client" or not failed(attempt):
        return False
    if then is None:
        return status_of(attempt.attributes) == TOO_MANY_REQUESTS
    return then.kind == "client" and call_name(then) == call_name(attempt)


class _Tree:
    """Who is whose child, on the way from spans to segments."""

    def __init__(self) -> None:
        self.children: dict[Key, list[tuple[Node, int, int]]] = defaultdict(list)
        self.detached: dict[Key, list[tuple[Node, int, int]]] = defaultdict(list)
        """Root -> what went on after its own parent had ended, from then on."""
        self.calls: dict[Key, list[tuple[Activity, int, int]]] = defaultdict(list)
        """Span -> the activities that it called."""

    def cut(self, activity: Activity) -> list[Segment]:
        """Cut an activity into segments by the leaf rule; an explicit stack, for deep traces."""
        root, end_ns = activity.root, max(activity.root.start_ns, activity.end_ns)
        detached = self.detached.get((root.trace_id, root.span_id), [])
        todo: list[tuple[Node, int, int]] = [(root, root.start_ns, end_ns)]
        todo += last_finishing(detached, end_ns, max((row[2] for row in detached), default=end_ns))
        segments: list[Segment] = []
        while todo:
            node, start_ns, end_ns = todo.pop()
            if isinstance(node, Wait):
                kind = "backoff" if node.resource.startswith(_BACKOFF) else "wait"
                segments.append(Segment(start_ns, end_ns, kind, node))
                continue
            inner = self.children.get((node.trace_id, node.span_id), [])
            if node is root:
                inner = inner + detached
            if not inner:
                segments += self._own_time(node, start_ns, end_ns)
                continue
            taken = last_finishing(inner, start_ns, end_ns)
            todo += taken
            tried = {b: child for child, _, b in taken if isinstance(child, Span)}
            again = {a: child for child, a, _ in taken if isinstance(child, Span)}
            for free_ns in gaps_between([(a, b) for _, a, b in taken], start_ns, end_ns):
                attempt = tried.get(free_ns[0])
                if attempt and _tried_again(attempt, again.get(free_ns[1])):
                    segments.append(Segment(*free_ns, "backoff", attempt))
                else:
                    segments += self._own_time(node, *free_ns)
        return sorted(segments, key=itemgetter(0))

    def _own_time(self, span: Span, start_ns: int, end_ns: int) -> Iterator[Segment]:
        """Yield a span's own time: with a callee that we know it is a call, else a gap."""
        callees = self.calls.get((span.trace_id, span.span_id))
        if start_ns >= end_ns:
            return
        if not callees and span.service != names.GATEWAY_SERVICE:
            yield Segment(start_ns, end_ns, "ext" if span.kind == "client" else "run", span)
            return
        calls = last_finishing(callees or [], start_ns, end_ns)
        for callee, call_start_ns, call_end_ns in calls:
            yield Segment(call_start_ns, call_end_ns, "call", span, callee)
        for free_ns in gaps_between([(a, b) for _, a, b in calls], start_ns, end_ns):
            yield Segment(*free_ns, "gap", span)
