"""Jaeger UI's critical path: backwards from the end, always into the child that ended last.

Rules of jaegertracing/jaeger-ui c321fb32. Two traps of the original are not copied: it can run for
ever on a trace that begins at 0, and tells nothing of a root whose parent is missing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from why504.diagnose.classic.tree import Node, grow
from why504.model import Span


class Section(NamedTuple):
    """A stretch of the path that belongs to one span itself."""

    span: Span
    start_ns: int
    end_ns: int


def jaeger_sections(spans: Sequence[Span]) -> list[Section]:
    """Return the critical path of one trace, backwards in time, root by root in order of start."""
    roots = grow(spans, lambda span: span.parent_id)
    return [s for root in sorted(roots, key=lambda n: n.start_ns) for s in _sections(root)]


def jaeger_self_times(spans: Sequence[Span]) -> dict[str, int]:
    """Return span id -> its own nanoseconds on the path of one trace."""
    times_ns: dict[str, int] = defaultdict(int)
    for section in jaeger_sections(spans):
        times_ns[section.span.span_id] += section.end_ns - section.start_ns
    return dict(times_ns)


def _sections(root: Node) -> Iterator[Section]:
    _fit(root)
    node, until_ns, whole = root, root.end_ns, True
    while True:
        child = _ended_last(node, until_ns, whole)
        begin_ns = node.start_ns if child is None else child.end_ns
        if begin_ns < until_ns:
            yield Section(node.span, begin_ns, until_ns)
        if child is not None:
            node, until_ns, whole = child, child.end_ns, True
        elif node.parent is None:
            return
        else:
            node, until_ns, whole = node.parent, node.start_ns, False


def _fit(root: Node) -> None:
    """Cut every child to its parent's window; leave out what nobody waits for, or lies outside."""
    todo = [root]
    while todo:
        parent = todo.pop()
        parent.children = [child for child in parent.children if _fits(child, parent)]
        # Of equal ends the one that starts first is the last here.
        parent.children.reverse()
        parent.children.sort(key=lambda child: (child.end_ns, -child.start_ns))
        todo += parent.children


def _fits(child: Node, parent: Node) -> bool:
    if child.span.kind == "consumer" and parent.span.kind == "producer":
        return False
    if child.start_ns >= parent.end_ns:
        return False
    if child.start_ns < parent.start_ns and child.end_ns <= parent.start_ns:
        return False
    child.start_ns = max(child.start_ns, parent.start_ns)
    child.end_ns = min(child.end_ns, parent.end_ns)
    return True


def _ended_last(parent: Node, until_ns: int, whole: bool) -> Node | None:
    """Return the child that ended last before a moment: strictly, unless at the parent's end."""
    children = parent.children
    count = len(children)
    if not whole:
        count = bisect_left(children, until_ns, key=lambda child: child.end_ns)
    return children[count - 1] if count else None
