"""Incidents on a line of time: how often, how long, how many 504s each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import Any, Final

import altair as alt

from dashboards.draw.palette import ALARM, Ink
from dashboards.draw.text import duration, moment, plain
from dashboards.language import Say
from dashboards.words import incidents as words
from why504.model import Incident

HEIGHT: Final = 110
NARROWEST: Final = 0.006
"""A bar is at least so wide, as a share of the axis: an incident of a minute in a week is seen."""


def history_data(incidents: Sequence[Incident], zone: tzinfo) -> list[dict[str, Any]]:
    """Return one row an incident; times are milliseconds of the zone's own clock."""
    if not incidents:
        return []
    first_ms = min(_clock_ms(i.window.start_ns, zone) for i in incidents)
    last_ms = max(_clock_ms(i.window.end_ns, zone) for i in incidents)
    narrowest_ms = max(1.0, NARROWEST * (last_ms - first_ms))
    return [
        {
            "start": _clock_ms(incident.window.start_ns, zone),
            "end": max(
                _clock_ms(incident.window.end_ns, zone),
                _clock_ms(incident.window.start_ns, zone) + narrowest_ms,
            ),
            "count": incident.count,
            "cause": plain(f"{incident.finding.cause} {incident.finding.title}", 80),
            "began": moment(incident.window.start_ns, zone),
            "lasted": duration((incident.window.end_ns - incident.window.start_ns) / 1e9),
        }
        for incident in incidents
    ]


def chart(incidents: Sequence[Incident], zone: tzinfo, ink: Ink, say: Say) -> alt.Chart:
    """Return the bars, on an axis that says times of `zone`."""
    drawn: alt.Chart = (
        alt.Chart(alt.InlineData(values=history_data(incidents, zone)), height=HEIGHT)
        .mark_bar(color=ALARM, stroke=ink.strong, strokeWidth=0.5)
        .encode(
            x=alt.X("start:T", scale=alt.Scale(type="utc"), title=None),
            x2=alt.X2("end:T"),
            y=alt.Y("count:Q", title=say(words.COUNT), axis=alt.Axis(tickCount=3)),
            tooltip=[
                alt.Tooltip("cause:N", title=say(words.CAUSE)),
                alt.Tooltip("count:Q", title=say(words.COUNT)),
                alt.Tooltip("began:N", title=say(words.BEGAN)),
                alt.Tooltip("lasted:N", title=say(words.LASTED)),
            ],
        )
    )
    return drawn


def _clock_ms(time_ns: int, zone: tzinfo) -> float:
    """Return a moment such that an axis of UTC reads as the zone's clock does."""
    from datetime import UTC, datetime

    told = datetime.fromtimestamp(time_ns / 1e9, tz=zone)
    return told.replace(tzinfo=UTC).timestamp() * 1000
