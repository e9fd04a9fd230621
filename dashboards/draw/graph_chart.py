"""A wait-for graph as a Vega-Lite chart; a click on a box is told as the selection `node`.

Written as Vega-Lite has it: Altair checks each of a thousand points on the way, which takes longer
than a click may.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from dashboards.draw.columns import columns
from dashboards.draw.graph import (
    Drawn,
    arrow_data,
    box_data,
    edge_data,
    label_data,
    line_of,
    point_data,
)
from dashboards.draw.layout import LINE_HEIGHT, PADDING, Layout
from dashboards.draw.palette import Ink
from dashboards.draw.rows import rows
from dashboards.language import Said, Say
from dashboards.words import graph as words

NODE: Final = "node"
"""The selection that a click makes."""
MARGIN: Final = 6
"""Pixels above and below, for outlines."""

Row = dict[str, Any]
_TOLD_OF_EDGES: Final = ["width", "color", "opacity", "ring", "what", "lost", "kind"]
_TITLES: Final = {
    "what": words.WHAT,
    "kind": words.KIND,
    "lost": words.CARRIED,
    "where": words.LINE,
}


def wide(drawn: Drawn, ink: Ink, say: Say) -> Row:
    """Return the graph from left to right."""
    return _chart(drawn, columns(drawn.graph, drawn.total_s, line_of), ink, say)


def narrow(drawn: Drawn, ink: Ink, say: Say) -> Row:
    """Return the graph from top to bottom, one box a row."""
    return _chart(drawn, rows(drawn.graph, drawn.total_s, line_of), ink, say)


def _chart(drawn: Drawn, layout: Layout, ink: Ink, say: Say) -> Row:
    boxes = box_data(drawn, layout.boxes, say)
    height = layout.height + 2 * MARGIN
    across = {"domain": [-0.006, 1.006], "nice": False, "zero": False}
    down = {"domain": [layout.height + MARGIN, -MARGIN], "nice": False, "zero": False}
    return {
        "height": round(height),
        "padding": 0,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "config": {"view": {"stroke": None}},
        "encoding": {
            "x": {"field": "x", "type": "quantitative", "scale": across, "axis": None},
            "y": {"field": "y", "type": "quantitative", "scale": down, "axis": None},
        },
        "layer": [
            _edges(point_data(layout.paths), edge_data(drawn, layout.paths, say), say),
            *_boxes(boxes, ink),
            _arrows(arrow_data(layout.paths), ink),
            *_words(boxes, ink),
            *_labels(label_data(drawn, layout.paths, say), ink),
            _to_click(boxes, say),
        ],
    }


def _edges(points: Sequence[Row], edges: Sequence[Row], say: Say) -> Row:
    """Return the layer of the edges; what an edge says is told once, not at each of its points."""
    dash = {"condition": {"test": "datum.ring", "value": [5, 3]}, "value": [1, 0]}
    told = {"data": {"values": list(edges)}, "key": "edge", "fields": _TOLD_OF_EDGES}
    layer = _layer(
        points,
        {"type": "line", "strokeJoin": "round"},
        detail={"field": "edge", "type": "nominal"},
        order={"field": "step", "type": "quantitative"},
        strokeWidth=_as_told("width"),
        stroke=_as_told("color"),
        strokeOpacity=_as_told("opacity"),
        strokeDash=dash,
        tooltip=_tooltips(say, "what", "lost", "kind"),
    )
    return {**layer, "transform": [{"lookup": "edge", "from": told}]}


def _arrows(data: Sequence[Row], ink: Ink) -> Row:
    mark = {"type": "point", "shape": "triangle-up", "filled": True, "size": 70, "opacity": 1}
    return _layer(data, {**mark, "color": ink.strong}, angle=_as_told("angle"))


def _boxes(data: Sequence[Row], ink: Ink) -> list[Row]:
    """Return the layers of the boxes: the paper, its colour, and the coloured edge."""
    outline = {"condition": {"test": "datum.chosen", "value": ink.strong}, **_as_told("color")}
    marked = {"condition": {"test": "datum.chosen || datum.root", "value": 3}, "value": 1.2}
    tint = {"condition": {"test": "datum.chosen", "value": 0.2}, "value": 0.05}
    return [
        _rects(data, "x2", {"fill": ink.paper}, stroke=outline, strokeWidth=marked),
        _rects(data, "x2", {}, fill=_as_told("color"), fillOpacity=tint),
        _rects(data, "stripe", {}, fill=_as_told("color")),
    ]


def _words(data: Sequence[Row], ink: Ink) -> list[Row]:
    style = {
        "type": "text",
        "align": "left",
        "baseline": "top",
        "fontSize": 12,
        "dx": PADDING + 4,
        "lineBreak": "\n",
        "lineHeight": LINE_HEIGHT,
        "color": ink.strong,
    }
    below = {"kind": PADDING, "text": PADDING + LINE_HEIGHT, "lost": 0}
    drawn = []
    for field, pixels in below.items():
        weight = "normal" if field == "text" else "bold"
        own = {"y": {"field": "last", "type": "quantitative"}} if field == "lost" else {}
        mark = {**style, "dy": pixels, "fontWeight": weight}
        drawn.append(_layer(data, mark, text={"field": field, "type": "nominal"}, **own))
    return drawn


def _labels(data: Sequence[Row], ink: Ink) -> list[Row]:
    """Return what edges carry, each with a rim of paper, so that it can be read on any edge."""
    style = {"type": "text", "fontSize": 11, "color": ink.strong}
    rim = {**style, "stroke": ink.paper, "strokeWidth": 4, "strokeJoin": "round"}
    text = {"field": "text", "type": "nominal"}
    return [_layer(data, mark, text=text) for mark in (rim, style)]


def _to_click(data: Sequence[Row], say: Say) -> Row:
    """Return the boxes once more, on top of their words and all but invisible."""
    mark = {"fill": "#888888", "fillOpacity": 0.001, "cursor": "pointer"}
    select = {"type": "point", "fields": ["id"], "on": "click"}
    layer = _rects(data, "x2", mark, tooltip=_tooltips(say, "what", "where", "lost"))
    return {**layer, "params": [{"name": NODE, "select": select}]}


def _rects(data: Sequence[Row], right: str, mark: Row, **encoding: Any) -> Row:
    mark = {"type": "rect", "cornerRadius": 4, **mark}
    return _layer(data, mark, x2={"field": right}, y2={"field": "y2"}, **encoding)


def _tooltips(say: Say, *fields: str) -> list[Row]:
    titles: dict[str, Said] = _TITLES
    return [{"field": f, "type": "nominal", "title": say(titles[f])} for f in fields]


def _as_told(field: str) -> Row:
    """Return a channel whose values are told as they are to be drawn."""
    kind = "nominal" if field == "color" else "quantitative"
    return {"field": field, "type": kind, "scale": None, "legend": None}


def _layer(data: Sequence[Row], mark: Row, **encoding: Any) -> Row:
    return {"data": {"values": list(data)}, "mark": mark, "encoding": encoding}
