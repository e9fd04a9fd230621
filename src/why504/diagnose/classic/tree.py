"""The spans of one trace as a tree whose times may be fitted without touching the spans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from why504.model import Span


@dataclass(slots=True, eq=False)
class Node:
    """A span with the window that the path's rules leave to it."""

    span: Span
    start_ns: int
    end_ns: int
    duration_ns: int
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)


def grow(spans: Sequence[Span], parent_id: Callable[[Span], str | None]) -> list[Node]:
    """Return the roots, in the order given: spans without a parent among the others.

    Spans that are their own ancestors are nobody's descendants, and left out.
    """
    nodes = [_node(span) for span in spans]
    by_id = {node.span.span_id: node for node in reversed(nodes)}
    roots: list[Node] = []
    for node in nodes:
        node.parent = by_id.get(parent_id(node.span) or "")
        if node.parent is None:
            roots.append(node)
        else:
            node.parent.children.append(node)
    return roots


def _node(span: Span) -> Node:
    end_ns = span.last_seen_ns if span.end_ns is None else span.end_ns
    return Node(span, span.start_ns, end_ns, end_ns - span.start_ns)
