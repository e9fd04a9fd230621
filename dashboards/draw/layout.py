"""Where the nodes and edges of a wait-for graph go: in columns for a desk, in rows for a phone.

Across is told as a share of the width, which only the browser knows; down in pixels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dashboards.draw.wrap import wrapped
from why504.model import Edge, Node, WaitGraph

LINE_HEIGHT: Final = 15
PADDING: Final = 8
GAP: Final = 16
LANE: Final = 24
"""Height of the free lane that an edge has between the boxes of a column that it passes."""
WIDEST: Final = 40.0
"""Pixels of an edge that carries everything."""
FINEST: Final = 1.5
STEPS: Final = 18
"""Straight pieces that a bend is drawn with."""
GAP_SHARE: Final = 0.6
"""Of the width of a box, between two columns."""
NARROWEST: Final = {4: 820, 5: 1000, 6: 1120}
"""Number of columns -> pixels from which on they are readable."""
FEWEST_COLUMNS: Final = min(NARROWEST)
MOST_COLUMNS: Final = max(NARROWEST)
ROW_WIDTH: Final = 320
GUTTER: Final = 0.2
"""Share of a row's width that is left to the edges."""
CHARACTER: Final = 6.1
"""Pixels of a usual one at 12 px."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """A node's place."""

    node: Node
    left: float
    right: float
    top: float
    bottom: float
    words: tuple[str, ...]
    """What it is, in lines that fit."""

    @property
    def middle(self) -> float:
        """Return its middle, from above."""
        return (self.top + self.bottom) / 2


@dataclass(frozen=True, slots=True)
class Path:
    """An edge's way."""

    edge: Edge
    points: tuple[Point, ...]
    width: float
    """Pixels."""
    ring: bool
    """Whether it leads back to where it came from."""
    label: Point | None
    """Where there is room to say what it carries."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A graph that has its places."""

    boxes: tuple[Box, ...]
    paths: tuple[Path, ...]
    height: float


@dataclass(frozen=True, slots=True)
class Ranks:
    """How far from the victims each node is."""

    rank: Mapping[str, int]
    rings: frozenset[tuple[str, str]]
    """Edges that lead back."""

    @property
    def count(self) -> int:
        """Return how many ranks there are."""
        return max(self.rank.values(), default=-1) + 1


def ranks(graph: WaitGraph) -> Ranks:
    """Return the longest way from the victims to each node; places of rest come last."""
    after: dict[str, list[str]] = defaultdict(list)
    for edge in graph.edges:
        after[edge.source].append(edge.target)
    rings, order = _depth_first([node.id for node in graph.nodes], after)
    rank = dict.fromkeys(order, 0)
    for source in order:
        for target in after[source]:
            if (source, target) not in rings:
                rank[target] = max(rank[target], rank[source] + 1)
    resting = [node.id for node in graph.nodes if not after[node.id]]
    last = max((rank[n] + 1 for n in rank if n not in resting), default=0)
    return Ranks({**rank, **dict.fromkeys(resting, last)}, frozenset(rings))


def _depth_first(
    nodes: Sequence[str], after: Mapping[str, Sequence[str]]
) -> tuple[set[tuple[str, str]], list[str]]:
    """Return the edges that lead back, and the nodes such that all others lead forward."""
    rings: set[tuple[str, str]] = set()
    done: dict[str, None] = {}
    for first in nodes:
        if first in done:
            continue
        way = {first: iter(after.get(first, ()))}
        while way:
            node = next(reversed(way))
            target = next(way[node], None)
            if target is None:
                del way[node]
                done[node] = None
            elif target in way:
                rings.add((node, target))
            elif target not in done:
                way[target] = iter(after.get(target, ()))
    return rings, list(reversed(done))


def words_of(node: Node, width: float, site: Callable[[Node], str]) -> tuple[str, ...]:
    """Return what a node is in at most three lines, and its line of code in one more."""
    most = max(8, int((width - 2 * PADDING) / CHARACTER))
    where = site(node)
    # Of a line of code the end says most.
    where = where if len(where) <= most else "…" + where[1 - most :]
    return (*wrapped(node.what, most, 3), *([where] if where else ()))


def box_height(words: Sequence[str]) -> float:
    """Return the pixels that a box needs: a line above for its kind and one below for figures."""
    return 2 * PADDING + LINE_HEIGHT * (len(words) + 2)


def stroke(share: float) -> float:
    """Return how wide an edge is that carries a share of all lost time."""
    return max(FINEST, WIDEST * min(share, 1.0))


def bend(start: Point, end: Point) -> list[Point]:
    """Return a curve that leaves and arrives level."""
    (x0, y0), (x1, y1) = start, end
    points = []
    for step in range(STEPS + 1):
        part = step / STEPS
        points.append((x0 + (x1 - x0) * part, y0 + (y1 - y0) * part * part * (3 - 2 * part)))
    return points
