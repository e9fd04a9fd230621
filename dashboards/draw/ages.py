"""Open requests by age: a histogram, with the moment at which the gateway gives up as a line."""

from __future__ import annotations

from typing import Any, Literal

import altair as alt

from dashboards.draw.palette import ALARM, KINDS, Ink
from dashboards.draw.text import duration
from dashboards.language import Say
from dashboards.words import now as words
from why504.diagnose.health import Ages

HEIGHT = 170
_LEAST_TOP = 3


def ages_data(told: Ages, limit_s: float | None, say: Say) -> list[dict[str, Any]]:
    """Return one row a bin that is not empty; what is past the limit has the alarm's colour."""
    rows = []
    for number, count in enumerate(told.counts):
        first_s, last_s = number * told.width_s, (number + 1) * told.width_s
        if count:
            late = limit_s is not None and first_s >= limit_s * 0.999
            rows.append(
                {
                    "first": first_s,
                    "last": last_s,
                    "count": count,
                    "none": 0,
                    "color": ALARM if late else KINDS["application"],
                    "range": say(words.AGES_RANGE, first=duration(first_s), last=duration(last_s)),
                }
            )
    return rows


def chart(told: Ages, limit_s: float | None, ink: Ink, say: Say) -> alt.LayerChart:
    """Return the histogram; its axis ends with the last bin."""
    end_s = told.width_s * len(told.counts)
    top = max(_LEAST_TOP, *told.counts)
    bars = (
        alt.Chart(alt.InlineData(values=ages_data(told, limit_s, say)))
        .mark_rect()
        .encode(
            x=alt.X(
                "first:Q",
                scale=alt.Scale(domain=[0, end_s], nice=False),
                axis=alt.Axis(grid=False, tickCount=6, labelOverlap=True),
                title=say(words.AGES_AXIS),
            ),
            x2=alt.X2("last:Q"),
            y=alt.Y(
                "count:Q",
                # Room above the bars for the words beside the line.
                scale=alt.Scale(domain=[0, top * 1.25], nice=False),
                axis=alt.Axis(tickMinStep=1, tickCount=3, title=None, format="d"),
            ),
            y2=alt.Y2("none:Q"),
            color=alt.Color("color:N", scale=None),
            tooltip=[
                alt.Tooltip("range:N", title=say(words.AGES_BIN)),
                alt.Tooltip("count:Q", title=say(words.AGES_COUNT)),
            ],
        )
    )
    layers = [bars, *_limit(limit_s, end_s, ink, say)]
    return alt.LayerChart(layer=layers, height=HEIGHT)


def _limit(limit_s: float | None, end_s: float, ink: Ink, say: Say) -> list[alt.Chart]:
    if limit_s is None or limit_s > end_s:
        return []
    text = say(words.AGES_LIMIT, limit=duration(limit_s))
    line = alt.Chart(alt.InlineData(values=[{"at": limit_s, "text": text}]))
    rule = line.mark_rule(color=ALARM, strokeWidth=2, strokeDash=[6, 3]).encode(x=alt.X("at:Q"))
    # On the side where there is more room.
    side: Literal["left", "right"] = "right" if limit_s > end_s / 2 else "left"
    away = -6 if side == "right" else 6
    said = line.mark_text(
        align=side, baseline="top", dx=away, fontSize=12, fontWeight="bold", color=ink.strong
    ).encode(x=alt.X("at:Q"), y=alt.YValue(2), text=alt.Text("text:N"))
    return [rule, said]
