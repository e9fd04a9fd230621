"""Before and during the incident, side by side: a part of the incident page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from dashboards import evidence
from dashboards.draw import comparison as draw
from dashboards.draw.spec import spec
from dashboards.draw.text import duration, plain
from dashboards.language import Say
from dashboards.visit import Visit
from dashboards.words import common
from dashboards.words import comparing as words
from why504.diagnose.compared import Compared, Stretches, compared, stretches
from why504.errors import StoreUnavailable
from why504.model import Incident, Window


def section(visit: Visit, folder: Path, incident: Incident) -> None:
    """Draw it."""
    say = visit.say
    st.header(say(words.TITLE), help=say(words.MORE_READ))
    try:
        parts, found, sampled = _compared(folder, incident.id, incident.count, incident)
    except StoreUnavailable as error:
        st.error(say(common.CANT_READ))
        st.text(plain(str(error)))
        return
    if not found:
        st.info(say(words.NOTHING))
        return
    if parts.before is None:
        st.info(say(words.NO_BEFORE))
    st.text(_lengths(parts, say))
    rows = draw.changes(found, say)
    key = (incident.id, str(incident.count), say.language, visit.ink.strong)
    st.vega_lite_chart(spec=_drawn(key, rows, visit), key="comparison", alt=say(words.ALT))
    st.caption(say(words.READ))
    if sampled:
        st.caption(say(words.SAMPLED))
    _as_table(say, rows)


# A folded table is drawn once it is opened: it would keep the browser busy before that.
@st.fragment
def _as_table(say: Say, rows: Sequence[draw.Change]) -> None:
    with st.expander(say(words.AS_TABLE), key="comparison_table", on_change="rerun") as folded:
        if folded.open:
            st.dataframe(draw.table(rows, say), hide_index=True, key="comparison_rows")


@st.cache_resource(max_entries=8, show_spinner=False, ttl=60)
def _drawn(key: tuple[str, ...], _rows: Sequence[draw.Change], _visit: Visit) -> dict[str, Any]:
    """Return the chart as Vega-Lite; anew once the incident has grown."""
    return spec(draw.chart(_rows, _visit.say, _visit.ink))


def _lengths(parts: Stretches, say: Say) -> str:
    def told(window: Window | None) -> str:
        if window is None:
            return say(words.NOT_TOLD)
        return duration((window.end_ns - window.start_ns) / 1e9)

    return say(
        words.LENGTHS,
        before=told(parts.before),
        during=told(parts.during),
        after=told(parts.after),
    )


def prepare(folder: Path, incident: Incident) -> None:
    """Work out what is drawn of an incident, before somebody asks for it."""
    _compared(folder, incident.id, incident.count, incident)


@st.cache_resource(max_entries=8, show_spinner=False, ttl=60)
def _compared(
    folder: Path, incident_id: str, count: int, _incident: Incident
) -> tuple[Stretches, Sequence[Compared], bool]:
    """Return what was compared, and whether of a sample; anew once the incident has grown."""
    told = evidence.around(folder, _incident)
    return stretches(told, _incident), compared(told, _incident), told.sample is not None
