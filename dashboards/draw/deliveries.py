"""Messages of the router as a chart: how long each took from its first alert to the room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import altair as alt

from dashboards.draw.palette import LEVELS, QUIET, Ink
from dashboards.draw.text import duration
from dashboards.language import Say
from dashboards.words import alerts as words
from why504.alerts.kept.reading import Sent

HEIGHT: Final = 340
_LEAST_S: Final = 0.01
"""Nothing on a logarithmic scale is shorter."""
_TICKS_S: Final = [0.01, 0.1, 1, 10, 60, 600, 3600, 36_000, 360_000]
_DAY_NS: Final = 86_400 * 10**9
_SHAPES: Final = {"delivered": "circle", "waiting": "triangle-up", "dead": "cross"}


def seconds_of(one: Sent, now_ns: int) -> float:
    """Return how long it was from a message's first alert to its end, or is by now; at least 0."""
    begin_ns = one.frozen_ns if one.taken_ns is None else one.taken_ns
    end_ns = now_ns if one.ended_ns is None else one.ended_ns
    return max(0.0, (end_ns - begin_ns) / 1e9)


def data(messages: Sequence[Sent], now_ns: int, say: Say) -> list[dict[str, Any]]:
    """Return one mark a message; times in ms."""
    return [
        {
            "at": one.frozen_ns / 1e6,
            "seconds": max(_LEAST_S, seconds := seconds_of(one, now_ns)),
            "took": duration(seconds),
            "level": one.level.name,
            "state": say(words.STATES[one.state]),
        }
        for one in messages
        if one.state in words.STATES
    ]


def chart(messages: Sequence[Sent], now_ns: int, say: Say, ink: Ink) -> alt.Chart:
    """Return marks over time on a logarithmic axis: colour is the level, shape the state."""
    drawn: alt.Chart = (
        alt.Chart(
            alt.InlineData(values=data(messages, now_ns, say)),
            height=HEIGHT,
            description=say(words.DELIVERIES_ALT),
        )
        .mark_point(filled=True, size=90, opacity=0.85)
        .encode(
            x=alt.X("at:T", title=None, axis=_times(messages)),
            y=alt.Y(
                "seconds:Q",
                title=say(words.TOOK),
                scale=alt.Scale(type="log"),
                axis=alt.Axis(values=_TICKS_S, format="~g"),
            ),
            color=alt.Color(
                "level:N",
                title=say(words.LEVEL),
                scale=alt.Scale(domain=[*LEVELS, "HEARTBEAT"], range=[*LEVELS.values(), QUIET]),
                legend=alt.Legend(orient="bottom", columns=1, values=list(LEVELS)),
            ),
            shape=alt.Shape(
                "state:N",
                title=say(words.STATE),
                scale=alt.Scale(
                    domain=[say(words.STATES[state]) for state in _SHAPES],
                    range=list(_SHAPES.values()),
                ),
                legend=alt.Legend(
                    orient="bottom", columns=1, symbolFillColor=ink.strong, symbolStrokeWidth=0
                ),
            ),
            tooltip=[
                alt.Tooltip("at:T", title=say(words.WRITTEN), format="%Y-%m-%d %H:%M:%S"),
                alt.Tooltip("took:N", title=say(words.TIME_TO_ROOM)),
                alt.Tooltip("level:N", title=say(words.LEVEL)),
                alt.Tooltip("state:N", title=say(words.STATE)),
            ],
        )
    )
    return drawn


def _times(messages: Sequence[Sent]) -> alt.Axis:
    times_ns = [one.frozen_ns for one in messages] or [0]
    long = max(times_ns) - min(times_ns) > _DAY_NS
    told = "%d.%m. %H:%M" if long else "%H:%M:%S"
    return alt.Axis(tickCount=4, labelOverlap=True, grid=False, format=told)
