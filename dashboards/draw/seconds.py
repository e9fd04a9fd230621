"""The 504s of the last minute, a bar a second."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from dashboards.draw.palette import ALARM
from dashboards.language import Say
from dashboards.words import now as words

HEIGHT = 150
_LEAST_TOP = 3
"""So that one 504 does not look like a disaster."""


def seconds_data(counts: Sequence[int]) -> list[dict[str, Any]]:
    """Return one row a second that had any; `at` is negative: seconds ago."""
    ago = range(-len(counts), 0)
    return [
        {"at": at, "until": at + 1, "count": count, "none": 0}
        for at, count in zip(ago, counts, strict=True)
        if count
    ]


def chart(counts: Sequence[int], say: Say) -> alt.Chart:
    """Return bars over 60 seconds, now at the right end.

    Args:
        counts: 504s by the second, the latest last.
        say: speaks the viewer's language.
    """
    top = max(_LEAST_TOP, *counts, 0) if counts else _LEAST_TOP
    span = alt.Scale(domain=[-max(len(counts), 1), 0], nice=False)
    ticks = alt.Axis(tickCount=6, grid=False, labelExpr="datum.value == 0 ? '0' : -datum.value")
    drawn: alt.Chart = (
        alt.Chart(alt.InlineData(values=seconds_data(counts)), height=HEIGHT)
        .mark_rect(color=ALARM)
        .encode(
            x=alt.X("at:Q", scale=span, axis=ticks, title=say(words.SECONDS_AXIS)),
            x2=alt.X2("until:Q"),
            y=alt.Y(
                "count:Q",
                scale=alt.Scale(domain=[0, top]),
                axis=alt.Axis(tickMinStep=1, tickCount=3, title=None, format="d"),
            ),
            y2=alt.Y2("none:Q"),
            tooltip=[alt.Tooltip("count:Q", title=say(words.SECONDS_COUNT))],
        )
    )
    return drawn
