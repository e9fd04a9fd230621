"""What happened when, on one shared axis: a part of the incident page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from dashboards import evidence
from dashboards.draw import timeline as draw
from dashboards.draw.text import plain
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
    st.subheader(say(words.TITLE))
    try:
        told, sampled = _told(folder, incident.id, incident.count, incident)
    except StoreUnavailable as error:
        st.error(say(common.CANT_READ))
        st.text(plain(str(error)))
        return
    drawn = draw.chart(told, incident, say, visit.ink, zone=visit.zone, alerts=alerts)
    st.altair_chart(drawn, key="timeline", alt=say(words.ALT))
    kinds = {series.kind for series in told.series}
    st.caption(say(words.READ))
    if sampled:
        st.caption(say(words.SAMPLED))
    if "pool_in_use" in kinds:
        st.caption(say(words.POOLS_READ))
    if "open" in kinds:
        st.caption(say(words.OPEN_READ))


@st.cache_resource(max_entries=8, show_spinner=False, ttl=60)
def _told(folder: Path, incident_id: str, count: int, _incident: Incident) -> tuple[Timeline, bool]:
    """Return the timeline, and whether it is of a sample; anew once the incident has grown."""
    told = evidence.around(folder, _incident)
    return timeline(told, _incident), told.sample is not None
