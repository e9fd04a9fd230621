"""The 504s of an incident: a list, and the way to each of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import streamlit as st

from dashboards.draw import tables
from dashboards.visit import Visit
from dashboards.words import incident as words
from dashboards.words import lists
from why504.model import Incident, Victim

SHOWN: Final = 2000
WIDE: Final = ("blocked_in", "held_by", "leaf")


def section(visit: Visit, incident: Incident, chosen: Victim | None) -> None:
    """Draw the list; ticking a row opens that request."""
    if chosen is None:
        return
    shown = incident.victims[:SHOWN]
    st.header(visit.say(words.VICTIMS))
    if incident.count > len(shown):
        st.caption(visit.say(words.FIRST_OF, shown=len(shown), count=incident.count))
    offered = shown if any(victim is chosen for victim in shown) else [*shown, chosen]
    _one(visit, incident, offered, chosen)
    told = st.dataframe(
        tables.victim_rows(shown, visit.say, visit.zone),
        hide_index=True,
        height="auto" if len(shown) < 8 else 300,
        column_config={
            visit.say(lists.VICTIMS[name]): st.column_config.TextColumn(width="medium")
            for name in WIDE
        },
        key="victim_rows",
        on_select="rerun",
        selection_mode="single-row",
    )
    rows = told["selection"]["rows"]
    if rows:
        visit.go("request", incident=incident.id, trace=shown[rows[0]].trace_id)


def _one(visit: Visit, incident: Incident, offered: Sequence[Victim], chosen: Victim) -> None:
    first = next(n for n, victim in enumerate(offered) if victim is chosen)
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    number = left.selectbox(
        visit.say(words.OPEN_ONE),
        range(len(offered)),
        index=first,
        format_func=lambda n: tables.victim_name(offered[n], visit.zone),
        key=f"one_of_{incident.id}_{chosen.trace_id}",
    )
    right.page_link(
        visit.pages["request"],
        label=visit.say(words.OPEN_REQUEST),
        icon=":material/waterfall_chart:",
        query_params={"incident": incident.id, "trace": offered[number].trace_id},
    )
