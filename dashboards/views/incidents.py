"""The list of incidents."""

from __future__ import annotations

import streamlit as st

from dashboards.draw import tables
from dashboards.views import opening
from dashboards.visit import Visit
from dashboards.words import common


def page(visit: Visit) -> None:
    """Draw the list; ticking a row opens that incident."""
    st.title(visit.say(common.INCIDENTS))
    opened = opening.opened(visit)
    if opened is None:
        return
    _, found = opened
    told = st.dataframe(
        tables.incident_rows(found, visit.zone),
        hide_index=True,
        key="incident_rows",
        on_select="rerun",
        selection_mode="single-row",
    )
    rows = told["selection"]["rows"]
    if rows:
        visit.go("incident", incident=found[rows[0]].id)
