"""Before and during an incident as dumbbells: a row a figure, what changed most on top."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import altair as alt

from dashboards.draw.palette import ALARM, KINDS, Ink
from dashboards.draw.text import duration, figure, percent, plain
from dashboards.language import Say
from dashboards.words import comparing as words
from why504.diagnose.compared import Compared

ROWS_LIMIT: Final = 15
ROW_HEIGHT: Final = 52
_TITLE, _VALUES, _SCALE = 9, 24, 38
"""Pixels from the top of a row to the middles of its lines."""
_NAME: Final = 120
_MUCH: Final = 1.0
"""A change is shown strongly from one doubling or halving on."""
_SAME: Final = 0.1
_UNKNOWN: Final = "–"
_QUIET: Final = "#8c8c8c"
_SHARES: Final = ("failed", "stalled", "llm_failed")
_RATES: Final = ("timeouts", "requests", "llm_calls")
_LOOP: Final = "loop:"


@dataclass(frozen=True, slots=True)
class Change:
    """One row, in words and with its places on its own scale, 0.0 to 1.0.

    None where nothing is known, and for all of them where nothing is known from before: one dot
    alone is not on a scale.
    """

    title: str
    before: str
    during: str
    after: str
    factor: str
    much: bool
    before_at: float | None
    during_at: float | None
    after_at: float | None


def changes(found: Sequence[Compared], say: Say) -> list[Change]:
    """Return at most 15 rows, in the order given."""
    return [_change(one, say) for one in found[:ROWS_LIMIT]]


def _change(one: Compared, say: Say) -> Change:
    values = (one.before, one.during, one.after)
    most = max((value for value in values if value is not None), default=0.0) or 1.0
    before, during, after = (_value(one.measure, value) for value in values)
    alone = one.before is None
    places = [None if value is None or alone else value / most for value in values]
    return Change(
        _title(one, say), before, during, after, _factor(one, say), one.change >= _MUCH, *places
    )


def table(rows: Sequence[Change], say: Say) -> dict[str, Sequence[str]]:
    """Return the rows as a table: column name -> cells."""
    columns = {
        words.WHAT: [row.title for row in rows],
        words.BEFORE: [row.before for row in rows],
        words.DURING: [row.during for row in rows],
        words.AFTER: [row.after for row in rows],
        words.CHANGE: [row.factor for row in rows],
    }
    return {say(said): cells for said, cells in columns.items()}


def chart(rows: Sequence[Change], say: Say, ink: Ink) -> alt.LayerChart:
    """Return the dumbbells, as wide as there is room."""
    height = ROW_HEIGHT * max(1, len(rows))
    scale = alt.Scale(domain=[height, 0], nice=False, zero=False)
    y = alt.Y("y:Q", axis=None, scale=scale)
    layers = [_bars(rows, y), *_dots(rows, y), *_texts(rows, say, y, ink)]
    return alt.LayerChart(layer=[one for one in layers if one.data["values"]], height=height)


def _bars(rows: Sequence[Change], y: alt.Y) -> alt.Chart:
    data = [
        {"y": _y(place, _SCALE), "x": row.before_at, "x2": row.during_at, "color": _color(row)}
        for place, row in enumerate(rows)
        if row.before_at is not None and row.during_at is not None
    ]
    drawn: alt.Chart = (
        _on(data)
        .mark_rule(strokeWidth=4, opacity=0.5)
        .encode(x=_x("x"), x2=alt.X2("x2:Q"), y=y, color=_COLOR)
    )
    return drawn


def _dots(rows: Sequence[Change], y: alt.Y) -> list[alt.Chart]:
    looks: dict[str, dict[str, Any]] = {
        "before_at": {"shape": "circle", "filled": False, "strokeWidth": 2, "size": 70},
        "after_at": {"shape": "diamond", "filled": False, "strokeWidth": 2, "size": 70},
        "during_at": {"shape": "circle", "filled": True, "size": 90},
    }
    layers: list[alt.Chart] = []
    for name, look in looks.items():
        data = [
            {"y": _y(place, _SCALE), "x": getattr(row, name), "color": _color(row)}
            for place, row in enumerate(rows)
            if getattr(row, name) is not None
        ]
        layers.append(_on(data).mark_point(opacity=1, **look).encode(x=_x("x"), y=y, color=_COLOR))
    return layers


def _texts(rows: Sequence[Change], say: Say, y: alt.Y, ink: Ink) -> list[alt.Chart]:
    layers: list[alt.Chart] = []
    for much, weight in ((True, "bold"), (False, "normal")):
        some = [(place, row) for place, row in enumerate(rows) if row.much is much]
        titles = [{"y": _y(place, _TITLE), "text": row.title} for place, row in some]
        factors = [{"y": _y(place, _TITLE), "text": row.factor} for place, row in some]
        layers += [
            _text(titles, y, ink, "left", fontWeight=weight, limit=alt.ExprRef("width - 76")),
            _text(factors, y, ink, "right", fontWeight=weight),
        ]
    values = [
        {"y": _y(place, _VALUES), "text": _values(row, say)} for place, row in enumerate(rows)
    ]
    layers.append(_text(values, y, ink, "left", limit=alt.ExprRef("width - 4"), opacity=0.85))
    return layers


def _text(data: list[dict[str, Any]], y: alt.Y, ink: Ink, align: Any, **look: Any) -> alt.Chart:
    x = alt.XValue(2 if align == "left" else alt.ExprRef("width - 2"))
    drawn: alt.Chart = (
        _on(data)
        .mark_text(align=align, fontSize=12, color=ink.strong, **look)
        .encode(x=x, y=y, text=alt.Text("text:N"))
    )
    return drawn


def _values(row: Change, say: Say) -> str:
    said = words.VALUES if row.after == _UNKNOWN else words.VALUES_AND_AFTER
    return say(said, before=row.before, during=row.during, after=row.after)


def _title(one: Compared, say: Say) -> str:
    named = one.of.removeprefix(_LOOP) if one.measure == "stalled" else one.of
    of = plain(named, _NAME)
    said = words.MEASURES.get(one.measure)
    return say(said, of=of) if said else say(words.OTHER, measure=plain(one.measure, _NAME), of=of)


def _value(measure: str, value: float | None) -> str:
    if value is None:
        return _UNKNOWN
    if measure in _SHARES:
        return percent(value)
    if measure in _RATES:
        return f"{figure(value)}/s"
    if measure == "cpu":
        return figure(value)
    return f"{value * 1000:.0f} ms" if value < 1 else duration(value)


def _factor(one: Compared, say: Say) -> str:
    factor = one.factor
    if factor is None:
        return _UNKNOWN
    if math.isinf(factor):
        return say(words.FROM_ZERO)
    if not factor:
        return say(words.TO_ZERO)
    if one.change < _SAME:
        return say(words.SAME)
    said, times = (words.TIMES, factor) if factor >= 1 else (words.DIVIDED, 1 / factor)
    return say(said, times=f"{times:,.0f}" if times >= 10 else f"{times:.2g}")


def _color(row: Change) -> str:
    if not row.much:
        return _QUIET
    more = (row.during_at or 0.0) >= (row.before_at or 0.0)
    return ALARM if more else KINDS["application"]


def _x(field: str) -> alt.X:
    # A dot at either end must not be cut.
    return alt.X(f"{field}:Q", axis=None, scale=alt.Scale(domain=[-0.02, 1.02], nice=False))


def _y(place: int, line: int) -> int:
    return place * ROW_HEIGHT + line


def _on(data: list[dict[str, Any]]) -> alt.Chart:
    # As a dictionary: InlineData would hold each row against a schema.
    return alt.Chart({"values": data})


_COLOR: Final = alt.Color("color:N", scale=None)
