"""A wait-for graph as rows to draw: boxes with words, and edges as wide as what they carry."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dashboards.draw.layout import (
    FEWEST_COLUMNS,
    LINE_HEIGHT,
    MOST_COLUMNS,
    PADDING,
    Box,
    Path,
    ranks,
)
from dashboards.draw.palette import ALARM, KINDS, QUIET
from dashboards.draw.text import duration, percent, plain, short
from dashboards.language import Say
from dashboards.words import graph as words
from why504.model import Node, WaitGraph

COLOURS: Final = {
    "victims": KINDS["gateway"],
    "resource": KINDS["wait"],
    "holders": KINDS["hold"],
}
ICONS: Final = {"victims": "●", "resource": "◆", "holders": "■"}
LEAF_ICON: Final = "▲"
ROOT_ICON: Final = "◎"
LABELLED_SHARE: Final = 0.03
"""Lines that carry less say so only when they are pointed at."""
DRAWN_SHARE: Final = 0.0005
"""What carries less would be `0.0 s`."""
MOST_EDGES: Final = 60
"""More can't be told apart. Of each box the heaviest one before and behind it is always drawn."""
STRIPE: Final = 0.008
"""Of the width: the coloured edge of a box."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Drawn:
    """What to draw of a graph, beside its nodes and edges."""

    graph: WaitGraph
    roots: Collection[str]
    """Ids of the nodes that are the root cause."""
    chosen: str
    """Id of a node, or empty."""
    total_s: float
    """All lost time."""


def visible(graph: WaitGraph, total_s: float) -> WaitGraph:
    """Return a graph without what carries next to nothing, and with the heaviest of many edges."""
    least_s = total_s * DRAWN_SHARE
    nodes = tuple(node for node in graph.nodes if node.seconds >= least_s)
    names = {node.id for node in nodes}
    edges = sorted(
        (e for e in graph.edges if {e.source, e.target} <= names and e.seconds >= least_s),
        key=lambda edge: -edge.seconds,
    )
    leaving = {edge.source: edge for edge in reversed(edges)}
    arriving = {edge.target: edge for edge in reversed(edges)}
    kept = [
        edge
        for number, edge in enumerate(edges)
        if number < MOST_EDGES or edge in (leaving[edge.source], arriving[edge.target])
    ]
    return WaitGraph(nodes, tuple(kept))


def columns_of(graph: WaitGraph) -> int:
    """Return for how many columns there must be room, at least 4; 0 if no screen has so much."""
    count = max(FEWEST_COLUMNS, ranks(graph).count)
    return count if count <= MOST_COLUMNS else 0


def kind_words(node: Node, say: Say) -> str:
    """Return what kind of thing a node is; of one that the engine learned later, its own word."""
    known = words.KINDS.get(node.kind)
    return say(known) if known else plain(node.kind, 40)


def named(node: Node, say: Say) -> str:
    """Return what a node is, its kind first, unless that is how its own words begin."""
    kind, what = kind_words(node, say), plain(node.what)
    return what if what.casefold().startswith(kind.casefold()) else f"{kind}: {what}"


def line_of(node: Node) -> str:
    """Return the line of code of a node, without its folders; empty where there is none."""
    return plain(short(node.site).rpartition("/")[2]) if node.site else ""


def box_data(drawn: Drawn, boxes: Sequence[Box], say: Say) -> list[Row]:
    """Return one row a box."""
    return [_box(drawn, box, say) for box in boxes]


def _box(drawn: Drawn, box: Box, say: Say) -> Row:
    node = box.node
    root = node.id in drawn.roots
    icon = ROOT_ICON if root else ICONS.get(node.kind, LEAF_ICON)
    named = say(words.ROOT) if root else kind_words(node, say)
    lost = _carried(node.seconds, drawn.total_s, say)
    count = say(words.COUNTED, count=node.requests) if node.requests else ""
    return {
        "id": node.id,
        "x": box.left,
        "x2": box.right,
        "stripe": box.left + STRIPE,
        "y": box.top,
        "y2": box.bottom,
        "last": box.bottom - PADDING - LINE_HEIGHT,
        "color": ALARM if root else COLOURS.get(node.kind, QUIET),
        "root": root,
        "chosen": node.id == drawn.chosen,
        "kind": f"{icon} {count}{named}",
        "text": "\n".join(box.words),
        "lost": lost,
        "what": plain(node.what),
        "where": plain(str(node.site)) if node.site else "–",
    }


def edge_data(drawn: Drawn, paths: Sequence[Path], say: Say) -> list[Row]:
    """Return one row an edge; its number is that of its path."""
    names = {node.id: plain(node.what, 80) for node in drawn.graph.nodes}
    to_root = _leading_to(drawn)
    return [
        {
            "edge": number,
            "width": path.width,
            "color": ALARM if path.edge.target in to_root else QUIET,
            "opacity": 0.75 if drawn.chosen in (path.edge.source, path.edge.target) else 0.32,
            "ring": path.ring,
            "what": f"{names[path.edge.source]} → {names[path.edge.target]}",
            "lost": _carried(path.edge.seconds, drawn.total_s, say),
            "kind": say(words.BACK) if path.ring else "–",
        }
        for number, path in enumerate(paths)
    ]


def point_data(paths: Sequence[Path]) -> list[Row]:
    """Return one row a point of each edge."""
    return [
        {"edge": number, "step": step, "x": round(x, 4), "y": round(y, 1)}
        for number, path in enumerate(paths)
        for step, (x, y) in enumerate(path.points)
    ]


def arrow_data(paths: Sequence[Path]) -> list[Row]:
    """Return one row an edge: where it ends, and which way it goes there."""
    data = []
    for path in paths:
        (x0, y0), (x1, y1) = path.points[-2:]
        upward = path.ring and x0 == x1 and y1 < y0
        data.append({"x": x1, "y": y1, "angle": 0 if upward else 90})
    return data


def label_data(drawn: Drawn, paths: Sequence[Path], say: Say) -> list[Row]:
    """Return one row an edge that carries enough, or that the chosen node has, to say how much."""
    data = []
    for path in paths:
        edge = path.edge
        share = edge.seconds / drawn.total_s
        if path.label is None or share < LABELLED_SHARE:
            continue
        text = _carried(edge.seconds, drawn.total_s, say)
        if path.ring:
            text = say(words.RING, lost=duration(edge.seconds))
        data.append({"x": path.label[0], "y": path.label[1], "text": text})
    return data


def _carried(seconds: float, total_s: float, say: Say) -> str:
    return say(words.CARRIES, lost=duration(seconds), share=percent(min(1.0, seconds / total_s)))


def _leading_to(drawn: Drawn) -> set[str]:
    """Return the nodes from which a root cause can be reached."""
    before: dict[str, list[str]] = {}
    for edge in drawn.graph.edges:
        before.setdefault(edge.target, []).append(edge.source)
    found: set[str] = set()
    todo = list(drawn.roots)
    while todo:
        node = todo.pop()
        if node not in found:
            found.add(node)
            todo += before.get(node, ())
    return found
