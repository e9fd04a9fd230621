"""What would have become of an incident's victims, as bars under their words.

Written as Vega-Lite has it (see graph_chart.py). What still times out is solid, what was prevented
an outline, and what would time out instead striped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from dashboards.draw.palette import ALARM, KINDS, Ink
from dashboards.draw.text import plain
from dashboards.language import Say
from dashboards.words import helping as words
from why504.model import Counterfactual

ROW_HEIGHT: Final = 50
BAR_HEIGHT: Final = 14
BARS_LIMIT: Final = 10
STRIPES: Final = 90
"""Stripes that a bar over the whole width gets."""

Row = dict[str, Any]


def outcome_words(told: Counterfactual, say: Say) -> str:
    """Return how many would still have timed out, and how many others."""
    text = say(words.OUTCOME, left=f"{told.left:,}", victims=f"{told.victims:,}")
    return text + (say(words.AND_NEW, new=f"{told.new:,}") if told.new else "")


def bar_data(told: Sequence[Counterfactual], say: Say) -> list[Row]:
    """Return one row a part of a bar, at most ten bars; empty parts are left out."""
    data: list[Row] = []
    for row, one in enumerate(told[:BARS_LIMIT]):
        parts = (
            ("left", words.LEFT, 0, one.left),
            ("prevented", words.PREVENTED, one.left, one.victims),
            ("new", words.NEW, one.victims, one.victims + one.new),
        )
        data += [
            {"row": row, "part": part, "what": say(said), "from": a, "to": b, "count": b - a}
            for part, said, a, b in parts
            if a < b
        ]
    return data


def word_data(told: Sequence[Counterfactual], say: Say) -> list[Row]:
    """Return one row a bar: the change, and what would have become of the victims."""
    return [
        {
            "row": row,
            "if": say(words.IF, change=plain(one.change, 200)) if one.change else "",
            "then": outcome_words(one, say),
        }
        for row, one in enumerate(told[:BARS_LIMIT])
    ]


def stripe_data(told: Sequence[Counterfactual], most: int) -> list[Row]:
    """Return the stripes of those who would time out instead, evenly spaced."""
    apart = most / STRIPES
    return [
        {"row": row, "at": one.victims + apart * (n + 0.5)}
        for row, one in enumerate(told[:BARS_LIMIT])
        for n in range(int(one.new / apart + 0.5))
    ]


def chart(told: Sequence[Counterfactual], ink: Ink, say: Say) -> Row:
    """Return a bar for each, in the order given, as wide as there are victims."""
    told = told[:BARS_LIMIT]
    most = max((one.victims + one.new for one in told), default=1) or 1
    across = {"domain": [0, most], "nice": False}
    named = any(one.change for one in told)
    lines = 2 if named else 1
    layers = [
        _bars(bar_data(told, say), ink, lines),
        _layer(
            stripe_data(told, most),
            {"type": "tick", "thickness": 2, "size": BAR_HEIGHT, "color": KINDS["hold"],
             "yOffset": 8 * lines},
            x={"field": "at", "type": "quantitative", "scale": across, "axis": None},
        ),
        *_words(word_data(told, say), ink, named=named),
    ]  # fmt: skip
    layers[0]["encoding"]["x"]["scale"] = across
    return {
        "height": (ROW_HEIGHT if named else ROW_HEIGHT - 14) * len(told),
        "padding": 0,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "config": {"view": {"stroke": None}},
        "encoding": {
            "y": {"field": "row", "type": "ordinal", "axis": None, "scale": {"padding": 0}}
        },
        "layer": layers,
    }


def _bars(data: Sequence[Row], ink: Ink, lines: int) -> Row:
    left = "datum.part === 'left'"
    stroke = {"condition": {"test": left, "value": ALARM}, "value": KINDS["application"]}
    return _layer(
        data,
        {"type": "bar", "size": BAR_HEIGHT, "yOffset": 8 * lines, "strokeWidth": 1.5},
        x={"field": "from", "type": "quantitative", "axis": None},
        x2={"field": "to"},
        fill={"condition": {"test": left, "value": ALARM}, "value": KINDS["application"]},
        fillOpacity={"condition": {"test": left, "value": 1}, "value": 0.1},
        stroke=stroke,
        tooltip=[{"field": field, "type": "nominal", "title": " "} for field in ("what", "count")],
    )


def _words(data: Sequence[Row], ink: Ink, *, named: bool) -> list[Row]:
    style = {
        "type": "text",
        "align": "left",
        "fontSize": 12,
        "color": ink.strong,
        "limit": {"expr": "width - 6"},
    }
    at = {"x": {"value": 2}}
    above = ["if"] if named else []
    return [
        _layer(
            data,
            {**style, "dy": dy, "fontWeight": weight},
            text={"field": field, "type": "nominal"},
            **at,
        )
        for field, dy, weight in (("if", -16, "normal"), ("then", -1 if named else -8, "bold"))
        if field != "if" or above
    ]


def _layer(data: Sequence[Row], mark: Row, **encoding: Any) -> Row:
    return {"data": {"values": list(data)}, "mark": mark, "encoding": encoding}
