"""CRISP's critical path: "CRISP: Critical Path Analysis of Large-Scale Microservice Architectures".

Rules of uber-research/CRISP 2710c0b9: children are fitted into their parents, except a server into
its caller on another machine; siblings may overlap by 1 % of the parent.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from why504 import names
from why504.diagnose.classic.tree import Node, grow
from why504.model import Span

OVERLAP_ALLOWANCE: Final = 0.01
"""Share of the parent's duration by which siblings may overlap and still be one after another."""
SERVER_LENGTHENING: Final = 1.01
"""A server that takes this many times its caller's duration may still be its call."""

Operation = tuple[str, str]
"""Service and span name."""


@dataclass(slots=True)
class CallPath:
    """Everything on the path that was called by the same way."""

    inclusive_ns: int = 0
    exclusive_ns: int = 0
    count: int = 0


def crisp_path(
    spans: Sequence[Span], root: Operation, exclude: Collection[Operation] = ()
) -> dict[str, CallPath]:
    """Return the critical path below the first span of an operation, by call path.

    Args:
        spans: of one trace, in the order of the file.
        root: where to begin; its own parent is forgotten.
        exclude: operations left out with all that they called.

    Returns:
        `[service] operation->[service] operation` -> times; empty when there is no such root.
    """
    found: dict[str, CallPath] = defaultdict(CallPath)
    below: dict[str, int] = defaultdict(int)
    ways: dict[Node, str] = {}
    for node in _on_path(_matching(grow(spans, _caller), root), exclude):
        way = f"[{node.span.service}] {node.span.name}"
        if node.parent in ways:
            way = f"{ways[node.parent]}->{way}"
            below[ways[node.parent]] += node.duration_ns
        ways[node] = way
        found[way].inclusive_ns += node.duration_ns
        found[way].count += 1
    for way, times in found.items():
        times.exclusive_ns = max(0, times.inclusive_ns - below[way])
    return dict(found)


def crisp_self_times(spans: Sequence[Span]) -> dict[str, int]:
    """Return span id -> its own nanoseconds on the path below the first root of one trace."""
    path = _on_path(next(iter(grow(spans, _caller)), None))
    own_ns = {node: node.duration_ns for node in path}
    for node in path:
        if node.parent in own_ns:
            own_ns[node.parent] -= node.duration_ns
    return {node.span.span_id: max(0, time_ns) for node, time_ns in own_ns.items()}


def _caller(span: Span) -> str | None:
    """What merely follows another span was not called by it."""
    follows = span.attributes.get(names.REFERENCE_TYPE) == names.FOLLOWS_FROM
    return None if follows else span.parent_id


def _matching(roots: Sequence[Node], wanted: Operation) -> Node | None:
    """Return the first node of an operation, parents before children, in the order given."""
    todo = list(reversed(roots))
    while todo:
        node = todo.pop()
        if (node.span.service, node.span.name) == wanted:
            return node
        todo += reversed(node.children)
    return None


def _on_path(root: Node | None, exclude: Collection[Operation] = ()) -> list[Node]:
    """Return what is on the path, parents first."""
    if root is None:
        return []
    root.parent = None
    _fit(root, exclude)
    path: list[Node] = []
    todo = [root]
    while todo:
        node = todo.pop()
        path.append(node)
        todo += reversed(_one_after_another(node))
    return path


def _fit(root: Node, exclude: Collection[Operation]) -> None:
    """Fit every child into its parent's window, or leave it out with all below it."""
    todo = [root]
    while todo:
        parent = todo.pop()
        alone = len(parent.children) == 1
        parent.children = [child for child in parent.children if _fits(child, parent, alone)]
        parent.children = [
            child
            for child in parent.children
            if (child.span.service, child.span.name) not in exclude
        ]
        todo += parent.children


def _fits(child: Node, parent: Node, alone: bool) -> bool:
    """Cut a child to its parent's window; return whether anything is left of it."""
    if alone and _is_remote_call(child, parent):
        # Two machines have two clocks: only the duration can be compared.
        child.duration_ns = min(child.duration_ns, parent.duration_ns)
        return True
    if parent.start_ns <= child.start_ns and child.end_ns <= parent.end_ns:
        return True
    if child.start_ns < parent.start_ns < child.end_ns <= parent.end_ns:
        child.duration_ns -= parent.start_ns - child.start_ns
        child.start_ns = parent.start_ns
        return True
    if parent.start_ns <= child.start_ns < parent.end_ns < child.end_ns:
        child.duration_ns -= child.end_ns - parent.end_ns
        child.end_ns = parent.end_ns
        return True
    return False


def _is_remote_call(child: Node, parent: Node) -> bool:
    if child.duration_ns > SERVER_LENGTHENING * parent.duration_ns:
        return False
    if child.span.kind == "server":
        if parent.span.kind == "client":
            return True
        # The caller's client span is missing, or not marked as one.
        caller = parent.parent.span.kind if parent.parent else ""
        if parent.span.kind != "server" and caller == "server":
            return True
    hosts = parent.span.instance, child.span.instance
    return all(hosts) and hosts[0] != hosts[1]


def _one_after_another(parent: Node) -> list[Node]:
    """Return the children on the path: the one that ends last, then each that precedes it."""
    points = sorted(t for child in parent.children for t in (child.start_ns, child.end_ns))
    ordered = sorted(
        enumerate(parent.children), key=lambda row: (row[1].end_ns, row[0]), reverse=True
    )
    path: list[Node] = []
    for _, child in ordered:
        if not path or _precedes(child, path[-1], parent, points):
            path.append(child)
    return path


def _precedes(before: Node, last: Node, parent: Node, points: Sequence[int]) -> bool:
    if before.end_ns < last.start_ns:
        return True
    if not (before.end_ns < last.end_ns and before.start_ns < last.start_ns):
        return False
    if before.end_ns - last.start_ns >= OVERLAP_ALLOWANCE * parent.duration_ns:
        return False
    # Nobody else may begin or end where the two overlap.
    inside = bisect_right(points, before.end_ns) - bisect_left(points, last.start_ns)
    return inside == 2
