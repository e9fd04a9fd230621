"""The waterfall of one 504 as an Altair chart: `dashboards.draw.bars` on one axis of seconds.

Waits are striped, what is still open fades out after it was last heard of, and the moment at
which the gateway gave up is a line across all lanes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from dashboards.draw.bars import Bar
from dashboards.draw.palette import ALARM, KINDS, Ink
from dashboards.language import Say
from dashboards.words import request as words

ROW_HEIGHT = 34
AXIS_HEIGHT = 60
BAR_HEIGHT = 11
BAR_BELOW_MIDDLE = 8
LABEL_ABOVE_MIDDLE = 8
HEADING_BELOW_MIDDLE = 4
STRIPES = 120
"""Stripes that a wait over the whole width gets."""
FADE_STEPS = 8

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Clock:
    """What the axis shows, in seconds since the gateway got the request."""

    start_s: float
    end_s: float
    gave_up_s: float

    @property
    def width_s(self) -> float:
        """Seconds from edge to edge."""
        return self.end_s - self.start_s


def clock(rows: Sequence[Bar], gave_up_s: float) -> Clock:
    """Return the axis: all bars, but at most one length of the request before and after it.

    A leak may have begun hours earlier; drawn to scale it would squeeze the request to nothing.
    """
    length_s = max(gave_up_s, 0.001)
    drawn = [bar for bar in rows if bar.kind in KINDS]
    first_s = min([0.0, *(bar.start_s for bar in drawn)])
    last_s = max([length_s, *(bar.end_s for bar in drawn)])
    start_s, end_s = max(first_s, -length_s), min(last_s, 2 * length_s)
    margin_s = 0.05 * (end_s - start_s)
    return Clock(start_s, end_s + margin_s, gave_up_s)


def chart(rows: Sequence[Bar], gave_up_s: float, end: str, ink: Ink, say: Say) -> alt.LayerChart:
    """Return the waterfall; rows keep their order and are 34 px high.

    Args:
        rows: of `bars`.
        gave_up_s: when somebody gave up, or when it was last heard of.
        end: what to write at that moment.
        ink: of the page.
        say: for the words of axis and tooltips.
    """
    axis = clock(rows, gave_up_s)
    layers = [
        _bars(rows, axis, ink, say),
        _stripes(rows, axis),
        _words(rows, ink, headings=True),
        _words(rows, ink, headings=False),
        *_give_up(rows, axis, end, ink),
    ]
    return alt.LayerChart(layer=layers, height=ROW_HEIGHT * (len(rows) + 1) + AXIS_HEIGHT)


def bar_data(rows: Sequence[Bar], axis: Clock, say: Say) -> list[Row]:
    """Return the rectangles: one a bar, and for an open one more that fade to the right."""
    data: list[Row] = []
    for row, bar in enumerate(rows, start=1):
        start_s, end_s = max(bar.start_s, axis.start_s), min(bar.end_s, axis.end_s)
        if bar.kind not in KINDS or start_s > axis.end_s or end_s < axis.start_s:
            continue
        fade_s = 0.05 * axis.width_s if bar.open else 0.0
        solid_s = max(start_s, min(end_s, axis.end_s - fade_s))
        shown = {"row": row, "color": KINDS[bar.kind], "mark": bar.mark, **_tooltip(bar, say)}
        # A moment would be invisible: every bar is at least a hair wide.
        wide_s = max(solid_s, start_s + 0.002 * axis.width_s)
        data.append({**shown, "start": start_s, "end": wide_s, "opacity": _strength(bar)})
        for step in range(FADE_STEPS if bar.open else 0):
            left_s = wide_s + fade_s * step / FADE_STEPS
            faint = _strength(bar) * (1 - (step + 1) / (FADE_STEPS + 1))
            edge = {"start": left_s, "end": left_s + fade_s / FADE_STEPS, "opacity": faint}
            data.append({**shown, **edge, "mark": ""})
    return data


def stripe_data(rows: Sequence[Bar], axis: Clock) -> list[Row]:
    """Return the stripes of the waits, evenly spaced on the axis."""
    apart_s = axis.width_s / STRIPES
    data: list[Row] = []
    for row, bar in enumerate(rows, start=1):
        start_s, end_s = max(bar.start_s, axis.start_s), min(bar.end_s, axis.end_s)
        if bar.kind == "wait" and start_s <= end_s:
            count = int((end_s - start_s) / apart_s) + 1
            data += [{"row": row, "at": start_s + apart_s * n} for n in range(count)]
    return data


def _strength(bar: Bar) -> float:
    return 0.35 if bar.kind == "wait" else 1.0


def _tooltip(bar: Bar, say: Say) -> dict[str, str]:
    state = say(words.OPEN if bar.open else words.ENDED)
    start, end = f"{bar.start_s:.3f}", f"{bar.end_s:.3f}"
    times = say(words.FROM_TO, start=start, end=end, state=state)
    return {"what": bar.label, "when": times, "where": bar.detail or "–"}


def _bars(rows: Sequence[Bar], axis: Clock, ink: Ink, say: Say) -> alt.Chart:
    scale = alt.Scale(domain=[axis.start_s, axis.end_s], nice=False, zero=False)
    ticks = alt.Axis(orient="top", tickCount=6, grid=True, labelOverlap=True)
    title = say(words.AXIS)
    chosen = "datum.mark !== ''"
    drawn: alt.Chart = (
        _on(bar_data(rows, axis, say))
        .mark_bar(size=BAR_HEIGHT, yOffset=BAR_BELOW_MIDDLE)
        .encode(
            x=alt.X("start:Q", scale=scale, axis=ticks, title=title),
            x2=alt.X2("end:Q"),
            y=_row(rows),
            color=alt.Color("color:N", scale=None),
            fillOpacity=alt.FillOpacity("opacity:Q", scale=None),
            stroke=alt.StrokeValue(None, condition=_where(chosen, ink.strong)),
            strokeWidth=alt.StrokeWidthValue(0, condition=_where(chosen, 2.5)),
            tooltip=[
                alt.Tooltip("what:N", title=say(words.WHAT)),
                alt.Tooltip("when:N", title=say(words.WHEN)),
                alt.Tooltip("where:N", title=say(words.WHERE)),
            ],
        )
    )
    return drawn


def _where(test: str, value: str | float) -> dict[str, str | float]:
    return {"test": test, "value": value}


def _stripes(rows: Sequence[Bar], axis: Clock) -> alt.Chart:
    drawn: alt.Chart = (
        _on(stripe_data(rows, axis))
        .mark_tick(
            size=BAR_HEIGHT,
            thickness=1.5,
            yOffset=BAR_BELOW_MIDDLE,
            orient="vertical",
            color=KINDS["wait"],
            aria=False,
        )
        .encode(x=alt.X("at:Q"), y=_row(rows))
    )
    return drawn


def _words(rows: Sequence[Bar], ink: Ink, *, headings: bool) -> alt.Chart:
    words = [
        {"row": row, "text": "\u2003" * bar.depth + bar.label}
        for row, bar in enumerate(rows, start=1)
        if (bar.kind == "lane") is headings
    ]
    drawn: alt.Chart = (
        _on(words)
        .mark_text(
            align="left",
            fontSize=12,
            fontWeight="bold" if headings else "normal",
            dy=HEADING_BELOW_MIDDLE if headings else -LABEL_ABOVE_MIDDLE,
            color=ink.strong,
            limit=alt.ExprRef("width - 6"),
        )
        .encode(x=alt.XValue(2), y=_row(rows), text=alt.Text("text:N"))
    )
    return drawn


def _give_up(rows: Sequence[Bar], axis: Clock, words: str, ink: Ink) -> list[alt.Chart]:
    moment = _on([{"at": axis.gave_up_s, "text": words, "row": 0}])
    rule = moment.mark_rule(color=ALARM, strokeWidth=2, strokeDash=[6, 3]).encode(x=alt.X("at:Q"))
    said = moment.mark_text(
        align="right", dx=-6, fontSize=12, fontWeight="bold", color=ink.strong
    ).encode(x=alt.X("at:Q"), y=_row(rows), text=alt.Text("text:N"))
    return [rule, said]


def _row(rows: Sequence[Bar]) -> alt.Y:
    # Row 0 is the headroom for the words beside the give-up line.
    return alt.Y("row:O", axis=None, scale=alt.Scale(domain=[*range(len(rows) + 1)], padding=0))


def _on(data: list[Row]) -> alt.Chart:
    return alt.Chart(alt.InlineData(values=data))
