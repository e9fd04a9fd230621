"""A wait-for graph in columns: victims left, where time was lost right.

Layers, then order by barycentre, with a free lane for an edge in each column that it passes
(Sugiyama, Tagawa and Toda 1981).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean
from typing import Final

from dashboards.draw.layout import (
    FEWEST_COLUMNS,
    GAP,
    GAP_SHARE,
    LANE,
    MOST_COLUMNS,
    NARROWEST,
    Box,
    Layout,
    Path,
    Point,
    Ranks,
    bend,
    box_height,
    ranks,
    stroke,
    words_of,
)
from why504.model import Edge, Node, WaitGraph

_SWEEPS: Final = 6
_LABEL_APART: Final = 15
"""Pixels between two labels of the same gap."""
_RING_BELOW: Final = 12


@dataclass(frozen=True, slots=True)
class _Stop:
    """Where an edge passes a column: a box, or a lane of its own."""

    name: str
    rank: int


@dataclass(slots=True)
class _Plan:
    """What is in which column, from above."""

    columns: list[list[str]]
    ways: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """Edge -> the boxes and lanes on its way."""
    links: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Box or lane -> what it is linked with in the columns beside it."""


def columns(graph: WaitGraph, total_s: float, site: Callable[[Node], str]) -> Layout:
    """Return the layout.

    Args:
        graph: of an incident.
        total_s: what an edge of full width carries.
        site: returns the line of code of a node, or nothing.
    """
    ranked = ranks(graph)
    plan = _planned(graph, ranked)
    for sweep in range(_SWEEPS):
        _sort(plan, forward=sweep % 2 == 0)
    box_share = 1 / (ranked.count + (ranked.count - 1) * GAP_SHARE)
    room = NARROWEST[min(max(ranked.count, FEWEST_COLUMNS), MOST_COLUMNS)]
    pixels = room * box_share
    words = {node.id: words_of(node, pixels, site) for node in graph.nodes}
    heights = {name: LANE if name not in words else box_height(words[name])
               for column in plan.columns for name in column}  # fmt: skip
    tops, height = _tops(plan, heights)
    left = {
        name: rank * box_share * (1 + GAP_SHARE)
        for rank, column in enumerate(plan.columns)
        for name in column
    }
    boxes = tuple(
        Box(node, left[node.id], left[node.id] + box_share, tops[node.id],
            tops[node.id] + heights[node.id], words[node.id])
        for node in graph.nodes
    )  # fmt: skip
    spots = {name: (left[name], left[name] + box_share, tops[name] + heights[name] / 2)
             for name in heights}  # fmt: skip
    paths = _paths(graph.edges, plan, spots, total_s)
    paths += _rings(graph.edges, ranked, {box.node.id: box for box in boxes}, total_s, height)
    below = _RING_BELOW * (1 + min(len(ranked.rings), 3)) if ranked.rings else 0
    return Layout(boxes, tuple(_labelled(paths)), height + below)


def _planned(graph: WaitGraph, ranked: Ranks) -> _Plan:
    plan = _Plan([[] for _ in range(ranked.count)])
    for node in graph.nodes:
        plan.columns[ranked.rank[node.id]].append(node.id)
    for edge in graph.edges:
        ends = edge.source, edge.target
        if ends in ranked.rings:
            continue
        way = [edge.source]
        for rank in range(ranked.rank[edge.source] + 1, ranked.rank[edge.target]):
            way.append(f"{edge.source} {edge.target} {rank}")
            plan.columns[rank].append(way[-1])
        way.append(edge.target)
        plan.ways[ends] = way
        for one, other in pairwise(way):
            plan.links[one].append(other)
            plan.links[other].append(one)
    return plan


def _sort(plan: _Plan, *, forward: bool) -> None:
    """Put each column into the order of what its boxes are linked with before, or behind."""
    order = range(1, len(plan.columns)) if forward else range(len(plan.columns) - 2, -1, -1)
    for rank in order:
        beside = plan.columns[rank - 1 if forward else rank + 1]
        place = {name: (n + 0.5) / len(beside) for n, name in enumerate(beside)}
        column = plan.columns[rank]
        own = {name: (n + 0.5) / len(column) for n, name in enumerate(column)}
        column.sort(
            key=lambda name: fmean(
                [place[other] for other in plan.links[name] if other in place] or [own[name]]
            )
        )


def _tops(plan: _Plan, heights: Mapping[str, float]) -> tuple[dict[str, float], float]:
    """Return the upper edge of each box and lane, columns centred, and the height of all."""
    sizes = [sum(heights[n] + GAP for n in column) - GAP for column in plan.columns]
    height = max(sizes, default=0.0)
    tops: dict[str, float] = {}
    for column, size in zip(plan.columns, sizes, strict=True):
        at = (height - size) / 2
        for name in column:
            tops[name] = at
            at += heights[name] + GAP
    return tops, height


def _paths(
    edges: Sequence[Edge],
    plan: _Plan,
    spots: Mapping[str, tuple[float, float, float]],
    total_s: float,
) -> list[Path]:
    carried = {(e.source, e.target): e for e in edges if (e.source, e.target) in plan.ways}
    width = {ends: stroke(edge.seconds / total_s) for ends, edge in carried.items()}
    leaving = _ports(plan, spots, width, end=0)
    arriving = _ports(plan, spots, width, end=-1)
    found = []
    for ends, edge in carried.items():
        way = plan.ways[ends]
        at: Point = (spots[way[0]][1], leaving[ends])
        points = [at]
        for name in way[1:-1]:
            points += bend(at, (spots[name][0], spots[name][2]))
            at = spots[name][1], spots[name][2]
            points.append(at)
        points += bend(at, (spots[way[-1]][0], arriving[ends]))
        middle = points[1:][len(bend(at, at)) // 2]
        found.append(Path(edge, tuple(points), width[ends], False, middle))
    return found


def _ports(
    plan: _Plan,
    spots: Mapping[str, tuple[float, float, float]],
    width: Mapping[tuple[str, str], float],
    *,
    end: int,
) -> dict[tuple[str, str], float]:
    """Return how far from above each edge leaves (`end` 0) or arrives (-1): side by side."""
    beside: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for ends in width:
        beside[ends[end]].append(ends)
    ports: dict[tuple[str, str], float] = {}
    for name, several in beside.items():
        neighbour = 1 if end == 0 else -2
        several.sort(key=lambda ends: spots[plan.ways[ends][neighbour]][2])
        at = spots[name][2] - sum(width[ends] for ends in several) / 2
        for ends in several:
            ports[ends] = at + width[ends] / 2
            at += width[ends]
    return ports


def _rings(
    edges: Sequence[Edge],
    ranked: Ranks,
    boxes: Mapping[str, Box],
    total_s: float,
    height: float,
) -> list[Path]:
    """Return the edges that lead back, below everything."""
    found = []
    for number, edge in enumerate(e for e in edges if (e.source, e.target) in ranked.rings):
        source, target = boxes[edge.source], boxes[edge.target]
        start = source.left + (source.right - source.left) * 0.6, source.bottom
        end = target.left + (target.right - target.left) * 0.4, target.bottom
        deep = height + _RING_BELOW * (1 + number % 3)
        width = max(2.0, stroke(edge.seconds / total_s) / 4)
        middle = ((start[0] + end[0]) / 2, deep)
        points = (start, (start[0], deep), (end[0], deep), end)
        found.append(Path(edge, points, width, True, middle))
    return found


def _labelled(paths: Sequence[Path]) -> list[Path]:
    """Return the paths, those without a label that have no room for one; the widest go first."""
    taken: list[Point] = []
    found = []
    for path in sorted(paths, key=lambda path: -path.edge.seconds):
        label = path.label
        if label is not None and any(
            abs(label[0] - x) < 0.1 and abs(label[1] - y) < _LABEL_APART for x, y in taken
        ):
            label = None
        if label is not None:
            taken.append(label)
        found.append(Path(path.edge, path.points, path.width, path.ring, label))
    return found
