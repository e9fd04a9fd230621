"""What happened when, on one shared axis: a part of the incident page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from dashboards import evidence
from dashboards.draw import timeline as draw
from dashboards.draw.text import plain
from dashboards.language import Say
from dashboards.visit import Visit
from dashboards.words import common
from dashboards.words import timeline as words
from why504.diagnose.timeline import Timeline, timeline
from why504.errors import StoreUnavailable
from why504.model import Incident


def section(
    visit: Visit, folder: Path, incident: Incident, alerts: Sequence[tuple[int, str]] = ()
) -> None:
    """Draw it; `alerts` are the router's, Unix nanoseconds and names."""
    say = visit.say
    try:
        told, sampled = _told(folder, incident.id, incident.count, incident)
    except StoreUnavailable as error:
        st.subheader(say(words.TITLE))
        st.error(say(common.CANT_READ))
        st.text(plain(str(error)))
        return
    st.subheader(say(words.TITLE), help=_how_to_read(told, say))
    drawn = draw.chart(told, incident, say, visit.ink, zone=visit.zone, alerts=alerts)
    st.altair_chart(drawn, key="timeline", alt=say(words.ALT))
    st.caption(say(words.READ))
    if sampled:
        st.caption(say(words.SAMPLED))


def _how_to_read(told: Timeline, say: Say) -> str:
    kinds = {series.kind for series in told.series}
    of_rows = {"pool_in_use": words.POOLS_READ, "open": words.OPEN_READ}
    said = [words.SHADE_READ, *(text for kind, text in of_rows.items() if kind in kinds)]
    return "\n\n".join(say(text) for text in said)


@st.cache_resource(max_entries=8, show_spinner=False, ttl=60)
def _told(folder: Path, incident_id: str, count: int, _incident: Incident) -> tuple[Timeline, bool]:
    """Return the timeline, and whether it is of a sample; anew once the incident has grown."""
    told = evidence.around(folder, _incident)
    return timeline(told, _incident), told.sample is not None
