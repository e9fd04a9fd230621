"""A wait-for graph in rows, for a narrow screen: a box a row, edges as arcs in the margin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from dashboards.draw.layout import (
    GUTTER,
    ROW_WIDTH,
    STEPS,
    Box,
    Layout,
    Path,
    box_height,
    ranks,
    stroke,
    words_of,
)
from why504.model import Node, WaitGraph

_APART: Final = 12
_FURTHER: Final = 26
"""Between two ranks."""
_THINNER: Final = 2.5


def rows(graph: WaitGraph, total_s: float, site: Callable[[Node], str]) -> Layout:
    """Return the layout: the victims above, where time was lost below. See `columns`."""
    ranked = ranks(graph)
    boxes: dict[str, Box] = {}
    at, before = 0.0, 0
    for node in sorted(graph.nodes, key=lambda node: (ranked.rank[node.id], -node.seconds)):
        rank = ranked.rank[node.id]
        if boxes:
            at += _APART if rank == before else _FURTHER
        before = rank
        words = words_of(node, ROW_WIDTH * (1 - GUTTER), site)
        height = box_height(words)
        boxes[node.id] = Box(node, GUTTER, 1.0, at, at + height, words)
        at += height
    paths = []
    for edge in graph.edges:
        source, target = boxes[edge.source], boxes[edge.target]
        width = max(1.0, stroke(edge.seconds / total_s) / _THINNER)
        points = _arc(source.middle, target.middle, at)
        ring = (edge.source, edge.target) in ranked.rings
        paths.append(Path(edge, points, width, ring, None))
    return Layout(tuple(boxes.values()), tuple(paths), at)


def _arc(start: float, end: float, height: float) -> tuple[tuple[float, float], ...]:
    """Return the way through the margin: the further, the deeper."""
    away = GUTTER * (0.25 + 0.7 * min(1.0, abs(end - start) / max(height, 1.0)))
    points = []
    for step in range(STEPS + 1):
        part = step / STEPS
        out = 4 * part * (1 - part)
        points.append((GUTTER - away * out**0.5, start + (end - start) * part))
    return tuple(points)
