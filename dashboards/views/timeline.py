"""What happened when, on one shared axis: a part of the incident page."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path
from typing import Any, NamedTuple

import streamlit as st

from dashboards import evidence, windows
from dashboards.draw import timeline as draw
from dashboards.draw.spec import spec
from dashboards.draw.text import plain
from dashboards.language import Say
from dashboards.ledger import alerts_in, ledger_of
from dashboards.visit import Visit
from dashboards.words import common
from dashboards.words import timeline as words
from why504.diagnose.timeline import Timeline, timeline
from why504.errors import StoreUnavailable
from why504.model import Incident


def section(visit: Visit, folder: Path, incident: Incident) -> None:
    """Draw it, with the router's alerts."""
    say = visit.say
    alerts = tuple(alerts_in(ledger_of(visit.settings), windows.around(incident.window)))
    try:
        shown = _drawn(folder, _key(visit, incident), alerts, visit, incident)
    except StoreUnavailable as error:
        st.header(say(words.TITLE))
        st.error(say(common.CANT_READ))
        st.text(plain(str(error)))
        return
    st.header(say(words.TITLE), help=_how_to_read(shown.kinds, say))
    st.vega_lite_chart(spec=shown.chart, key="timeline", alt=say(words.ALT))
    st.caption(say(words.READ))
    if shown.source:
        st.text(say(words.MEASURED, source=plain(shown.source)))
    elif shown.sampled:
        st.caption(say(words.SAMPLED))


class _Drawn(NamedTuple):
    chart: dict[str, Any]
    """As Vega-Lite."""
    kinds: Set[str]
    """Of the series that are shown."""
    sampled: bool
    source: str
    """Whose metrics are among the rows; empty if none are."""


def _key(visit: Visit, incident: Incident) -> tuple[str, ...]:
    """Return what a chart depends on: anew once the incident has grown."""
    return (
        incident.id,
        str(incident.count),
        visit.say.language,
        visit.ink.strong,
        visit.zone_name,
    )


@st.cache_resource(max_entries=8, show_spinner=False, ttl=60)
def _drawn(
    folder: Path,
    key: tuple[str, ...],
    alerts: tuple[tuple[int, str], ...],
    _visit: Visit,
    _incident: Incident,
) -> _Drawn:
    told, sampled = _told(folder, _incident.id, _incident.count, _incident)
    chart = draw.chart(told, _incident, _visit.say, _visit.ink, zone=_visit.zone, alerts=alerts)
    kinds = {series.kind for series in told.series}
    return _Drawn(spec(chart), kinds, sampled, told.source)


def prepare(folder: Path, incident: Incident) -> None:
    """Work out what is drawn of an incident, before somebody asks for it."""
    _told(folder, incident.id, incident.count, incident)


@st.cache_resource(max_entries=8, show_spinner=False, ttl=60)
def _told(folder: Path, incident_id: str, count: int, _incident: Incident) -> tuple[Timeline, bool]:
    """Return the course, and whether of a sample; anew once the incident has grown."""
    around = evidence.around(folder, _incident)
    return timeline(around, _incident), around.sample is not None


def _how_to_read(kinds: Set[str], say: Say) -> str:
    of_rows = {"pool_in_use": words.POOLS_READ, "open": words.OPEN_READ}
    said = [words.SHADE_READ, *(text for kind, text in of_rows.items() if kind in kinds)]
    return "\n\n".join(say(text) for text in said)
