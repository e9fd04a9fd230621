"""What would have become of an incident's victims, as bars under their words.

Written as Vega-Lite has it (see graph_chart.py). What still times out is solid, what was prevented
an outline, and what would time out instead striped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from dashboards.draw.palette import ALARM, KINDS, Ink
from dashboards.draw.wrap import wrapped
from dashboards.language import Say
from dashboards.words import helping as words
from why504.model import Counterfactual

LINE_HEIGHT: Final = 15
BAR_HEIGHT: Final = 14
APART: Final = 8
CHARACTERS: Final = 56
"""Of a line that fits a phone."""
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
            {"row": row, "part": part, "what": say(said), "begin": a, "end": b, "count": b - a}
            for part, said, a, b in parts
            if a < b
        ]
    return data


def word_data(told: Sequence[Counterfactual], say: Say) -> list[Row]:
    """Return one row a bar: the change, and what would have become of the victims."""
    return [
        {
            "row": row,
            "change": _change(one, say) if one.change else "",
            "outcome": outcome_words(one, say),
        }
        for row, one in enumerate(told[:BARS_LIMIT])
    ]


def _change(one: Counterfactual, say: Say) -> str:
    return "\n".join(wrapped(say(words.IF, change=one.change), CHARACTERS, 2))


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
    written = word_data(told, say)
    lines = max((row["change"].count("\n") + 1 for row in written if row["change"]), default=0)
    most = max((one.victims + one.new for one in told), default=1) or 1
    scale = {"domain": [0, most], "nice": False}
    rows = {"field": "row", "type": "ordinal", "axis": None, "scale": {"padding": 0}}
    height = LINE_HEIGHT * (lines + 1) + BAR_HEIGHT + APART
    return {
        "height": height * len(told),
        "padding": 0,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "config": {"view": {"stroke": None}},
        "encoding": {"y": rows},
        "layer": [
            _bars(bar_data(told, say), scale, height),
            _stripes(stripe_data(told, most), scale, height),
            *_words(written, ink, height, lines),
        ],
    }


def _bars(data: Sequence[Row], scale: Row, height: int) -> Row:
    left = "datum.part === 'left'"
    colour = {"condition": {"test": left, "value": ALARM}, "value": KINDS["application"]}
    below = (height - BAR_HEIGHT) / 2 - APART
    return _layer(
        data,
        {"type": "bar", "size": BAR_HEIGHT, "yOffset": below, "strokeWidth": 1.5},
        x={"field": "begin", "type": "quantitative", "scale": scale, "axis": None},
        x2={"field": "end"},
        fill=colour,
        fillOpacity={"condition": {"test": left, "value": 1}, "value": 0.1},
        stroke=colour,
        tooltip=[{"field": field, "type": "nominal", "title": " "} for field in ("what", "count")],
    )


def _stripes(data: Sequence[Row], scale: Row, height: int) -> Row:
    below = (height - BAR_HEIGHT) / 2 - APART
    mark = {"type": "tick", "thickness": 2, "size": BAR_HEIGHT, "yOffset": below}
    at = {"field": "at", "type": "quantitative", "scale": scale, "axis": None}
    return _layer(data, {**mark, "color": KINDS["hold"]}, x=at)


def _words(data: Sequence[Row], ink: Ink, height: int, lines: int) -> list[Row]:
    style = {
        "type": "text",
        "align": "left",
        "baseline": "top",
        "fontSize": 12,
        "lineBreak": "\n",
        "lineHeight": LINE_HEIGHT,
        "color": ink.strong,
    }
    top = -height / 2
    said = (("change", top, "normal"), ("outcome", top + LINE_HEIGHT * lines, "bold"))
    return [
        _layer(
            data,
            {**style, "dy": dy, "fontWeight": weight},
            x={"value": 2},
            text={"field": field, "type": "nominal"},
        )
        for field, dy, weight in said
    ]


def _layer(data: Sequence[Row], mark: Row, **encoding: Any) -> Row:
    return {"data": {"values": list(data)}, "mark": mark, "encoding": encoding}
