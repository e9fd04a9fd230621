"""The time of an incident as an Altair chart: a row a series, all on one axis of time.

One layered chart in which every row has its place in pixels: rows stay aligned at any width, which
charts beside each other do not. What is measured comes from `why504.diagnose.timeline`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Any, Final, Literal

import altair as alt

from dashboards.draw import marks, tracks
from dashboards.draw.clock import Clock
from dashboards.draw.palette import ALARM, Ink
from dashboards.language import Say
from dashboards.words import timeline as words
from why504.diagnose.timeline import Timeline
from why504.model import Incident

AXIS_HEIGHT: Final = 36
_X: Final = "t:T"
_Y: Final = "y:Q"
_COLOR: Final = alt.Color("color:N", scale=None)
_Side = Literal["left", "right"]
_QUARTERS: Final[Mapping[tuple[float, float], tuple[_Side, float]]] = {
    (0.0, 0.25): ("left", 0.75),
    (0.25, 0.5): ("left", 0.5),
    (0.5, 0.75): ("right", 0.5),
    (0.75, 1.1): ("right", 0.75),
}
"""Where a mark is -> to which side its words go, and how much of the width there is for them."""


def chart(
    told: Timeline,
    incident: Incident,
    say: Say,
    ink: Ink,
    *,
    zone: tzinfo = UTC,
    alerts: Sequence[tuple[int, str]] = (),
) -> alt.LayerChart:
    """Return the chart; it is as wide as there is room.

    Args:
        told: what is drawn.
        incident: whose time is shaded, and whose first 504 is marked.
        say: in which language.
        ink: colours for the page's background.
        zone: of the times.
        alerts: of the router: Unix nanoseconds and names.
    """
    clock = Clock(told.window, zone)
    marked = marks.marks(incident, told.moments, alerts, clock, say, ink)
    rows = tracks.tracks(told, marks.headroom(marked), say)
    height = marks.headroom(marked) + tracks.ROW_HEIGHT * len(rows)
    canvas = _Canvas(clock, height, ink)
    layers = [
        canvas.frame(),
        canvas.shade(incident),
        *canvas.shapes(rows, told),
        canvas.rules(marks.data(marked, clock)),
        *canvas.titles(tracks.titles(rows, say)),
        canvas.cells(tracks.cells(rows, told, clock, say), say),
        *canvas.moments(marks.data(marked, clock), say),
    ]
    return alt.LayerChart(
        layer=[one for one in layers if one.data["values"]], height=height + AXIS_HEIGHT
    )


class _Canvas:
    """Draws on one axis of time, and in pixels from the top."""

    def __init__(self, clock: Clock, height: float, ink: Ink) -> None:
        self._clock = clock
        self._height = height
        self._ink = ink

    def frame(self) -> alt.Chart:
        """Return nothing to see, but the axes, which all layers share."""
        scale = alt.Scale(domain=[self._height, 0], nice=False, zero=False)
        drawn: alt.Chart = (
            _on([{"t": end_ms, "y": 0} for end_ms in self._clock.ends])
            .mark_point(opacity=0)
            .encode(x=self._clock.x("t"), y=alt.Y(_Y, axis=None, scale=scale))
        )
        return drawn

    def shade(self, incident: Incident) -> alt.Chart:
        window = incident.window
        data = [
            {"t": self._clock.ms(window.start_ns), "t2": self._clock.ms(window.end_ns),
             "y": 0, "y2": self._height}
        ]  # fmt: skip
        drawn: alt.Chart = (
            _on(data)
            .mark_rect(color=ALARM, opacity=0.1)
            .encode(x=alt.X(_X), x2=alt.X2("t2:T"), y=alt.Y(_Y), y2=alt.Y2("y2:Q"))
        )
        return drawn

    def shapes(self, rows: Sequence[tracks.Track], told: Timeline) -> Iterator[alt.Chart]:
        points = _on(tracks.shapes(rows, told, self._clock))
        step: dict[str, Any] = {"interpolate": "step-after"}
        yield points.mark_area(opacity=0.35, **step).encode(
            x=alt.X(_X), y=alt.Y(_Y), y2=alt.Y2("y2:Q"), detail=alt.Detail("shape:N"), color=_COLOR
        )
        yield points.mark_line(strokeWidth=1.5, **step).encode(
            x=alt.X(_X), y=alt.Y(_Y), detail=alt.Detail("shape:N"), color=_COLOR
        )
        for known, look in ((True, {"opacity": 0.35}), (False, {"strokeDash": [1, 4]})):
            ground = _on(tracks.grounds(rows, told, self._clock, known=known))
            yield ground.mark_rule(color=self._ink.strong, **look).encode(
                x=alt.X(_X), x2=alt.X2("t2:T"), y=alt.Y(_Y)
            )
        yield (
            _on(tracks.limits(rows))
            .mark_rule(color=self._ink.strong, strokeDash=[6, 4], opacity=0.8)
            .encode(y=alt.Y(_Y))
        )

    def titles(self, data: tracks.Data) -> Iterator[alt.Chart]:
        text: dict[str, Any] = {"fontSize": 12, "color": self._ink.strong}
        yield (
            _on(data)
            .mark_text(align="left", fontWeight="bold", limit=alt.ExprRef("width - 84"), **text)
            .encode(x=alt.XValue(2), y=alt.Y(_Y), text=alt.Text("title:N"))
        )
        right = alt.XValue(alt.ExprRef("width - 2"))
        yield (
            _on(data)
            .mark_text(align="right", limit=90, **text)
            .encode(x=right, y=alt.Y(_Y), text=alt.Text("peak:N"))
        )

    def rules(self, data: tracks.Data) -> alt.Chart:
        drawn: alt.Chart = (
            _on(data)
            .mark_rule(strokeWidth=1.5, strokeDash=[4, 3])
            .encode(x=alt.X(_X), color=_COLOR, y=alt.Y(_Y), y2=alt.Y2Datum(self._height))
        )
        return drawn

    def moments(self, data: tracks.Data, say: Say) -> Iterator[alt.Chart]:
        tooltip = [
            alt.Tooltip("what:N", title=say(words.EVENT)),
            alt.Tooltip("when:N", title=say(words.WHEN)),
        ]
        for alert, shape in ((True, "triangle-up"), (False, "circle")):
            points = _on([row for row in data if row["alert"] is alert])
            yield points.mark_point(shape=shape, filled=True, size=60, opacity=1).encode(
                x=alt.X(_X), y=alt.Y(_Y), color=_COLOR, tooltip=tooltip
            )
        for (begin, end), (side, share) in _QUARTERS.items():
            there = [row for row in data if begin <= row["share"] < end]
            yield (
                _on(there)
                .mark_text(
                    align=side,
                    dx=7 if side == "left" else -7,
                    fontSize=12,
                    color=self._ink.strong,
                    limit=alt.ExprRef(f"width * {share} - 10"),
                )
                .encode(x=alt.X(_X), y=alt.Y(_Y), text=alt.Text("words:N"), tooltip=tooltip)
            )

    def cells(self, data: tracks.Data, say: Say) -> alt.Chart:
        titles = {"when": words.WHEN, "value": words.VALUE}
        drawn: alt.Chart = (
            _on(data)
            .mark_rect(opacity=0)
            .encode(
                x=alt.X(_X),
                x2=alt.X2("t2:T"),
                y=alt.Y(_Y),
                y2=alt.Y2("y2:Q"),
                tooltip=[
                    alt.Tooltip(f"{name}:N", title=say(said)) for name, said in titles.items()
                ],
            )
        )
        return drawn


def _on(data: tracks.Data) -> alt.Chart:
    # As a dictionary: InlineData would hold each row against a schema, twice, which takes a second.
    return alt.Chart({"values": data})
