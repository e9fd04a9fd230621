"""The page of incidents: which there were, why, and one of their 504s on a clock.

Whatever comes from telemetry is drawn by elements that interpret no markup; every text that goes
to a Markdown element is a constant of this folder.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import streamlit as st

from dashboards import evidence, links
from dashboards.draw import blame, chain, palette, tables
from dashboards.draw.text import percent, plain
from dashboards.draw.words import GLOSSARY, MECHANISMS
from dashboards.views import request
from why504.errors import StoreUnavailable
from why504.model import Finding, Incident, Victim

STYLE = Path(__file__).with_name("style.css")
VICTIMS_SHOWN = 2000
WIDE = ("Blocked in", "Held by", "Comes down to")
INCIDENTS = "incident_row"
VICTIMS = "victim_row"


def page() -> None:
    """Draw the page for the store that the explorer was started on."""
    st.html(STYLE)
    st.title("Why 504?")
    folder = evidence.store_folder(sys.argv[1:], os.environ)
    try:
        found = evidence.incidents(folder) if folder else []
        if folder is None or not found:
            _empty(folder)
            return
        _found(folder, found)
    except StoreUnavailable as error:
        st.error("The store can't be read at the moment. Reload the page to try again.")
        st.text(plain(str(error)))


def _empty(folder: Path | None) -> None:
    if folder is None:
        st.info("No store was named. Start with `--store FOLDER`, or set `WHY504_STORE`.")
    else:
        st.info("No request was given up on, as far as this store knows. Nothing to explain.")
        st.text(f"Store: {plain(str(folder))}")
    st.markdown(
        "To see a real hang explained, run this in the project's folder and then reload the page:"
    )
    st.code("make demo", language=None)


def _found(folder: Path, found: Sequence[Incident]) -> None:
    zone = _zone()
    wanted = st.query_params
    choice = links.choose(found, wanted.get("incident", ""), wanted.get("trace", ""))
    if choice.missing == "incident":
        st.warning("The incident in this address is not in the store (any more).")
    elif choice.missing == "trace":
        st.warning("The request in this address is not among the 504s in the store.")
    _incident_list(found, choice.incident, zone)
    _incident(choice.incident)
    if choice.victim is not None:
        _victims(choice.incident, choice.victim, zone)
        request.draw(folder, choice.victim, _ink())
    with st.expander("Words used on this page"):
        st.markdown(GLOSSARY)


def _incident_list(found: Sequence[Incident], chosen: Incident, zone: tzinfo) -> None:
    st.subheader("Incidents")
    row = next(n for n, incident in enumerate(found) if incident is chosen)
    st.session_state[INCIDENTS] = {"selection": {"rows": [row], "columns": [], "cells": []}}

    def pick() -> None:
        rows = st.session_state[INCIDENTS].selection.rows
        if rows:
            st.query_params.from_dict({"incident": found[rows[0]].id})

    st.dataframe(
        tables.incident_rows(found, zone),
        hide_index=True,
        height="auto" if len(found) < 6 else 240,
        key=INCIDENTS,
        on_select=pick,
        selection_mode="single-row",
    )
    st.caption(f"Tick a row to open that incident. Times are {_zone_name(zone)}.")


def _incident(incident: Incident) -> None:
    finding = incident.finding
    with st.container(border=True, key="sentence"):
        st.text(plain(finding.sentence, 600))
    st.text(_verdict(finding))
    _sentences("What to do", [f"{n}. {text}" for n, text in enumerate(finding.advice, 1)])
    left, right = st.columns([3, 2], gap="large")
    with left:
        _chain(finding)
    with right:
        _sentences("What speaks for it", [f"+ {text}" for text in finding.evidence_for])
        _sentences("What speaks against it", [f"− {text}" for text in finding.evidence_against])
    st.subheader("Where the lost time went")
    st.caption("Each 504 lost the time it waited. Followed from holder to holder, it ends here:")
    st.altair_chart(blame.chart(incident.blames, _ink()), key="blame")


def _verdict(finding: Finding) -> str:
    spread = f"How it spread: {plain(MECHANISMS.get(finding.mechanism, finding.mechanism))}"
    if finding.cause == "UNKNOWN":
        return f"Cause not known: {plain(finding.title)}\n{spread}"
    sure = f"Confidence: {percent(finding.confidence)} of all lost seconds lead to this cause"
    return f"Cause {plain(finding.cause)}: {plain(finding.title)}\n{spread}\n{sure}"


def _chain(finding: Finding) -> None:
    st.subheader("From the 504s to the cause")
    for number, step in enumerate(chain.steps(finding)):
        if number:
            st.text("↓ because")
        with st.container(border=True, key=f"step_{number}", gap="xsmall"):
            st.text(step.what)
            st.text("\n".join([*(f"• {sentence}" for sentence in step.evidence), step.lost]))


def _sentences(title: str, sentences: Sequence[str]) -> None:
    st.subheader(title)
    st.text("\n".join(plain(sentence) for sentence in sentences[:12]) or "nothing was found")


def _victims(incident: Incident, chosen: Victim, zone: tzinfo) -> None:
    count = incident.count
    shown = incident.victims[:VICTIMS_SHOWN]
    st.subheader("The 504s")
    if count > len(shown):
        st.caption(f"The first {len(shown):,} of {count:,}.")
    rows = [n for n, victim in enumerate(shown) if victim is chosen]
    st.session_state[VICTIMS] = {"selection": {"rows": rows, "columns": [], "cells": []}}

    def pick() -> None:
        picked = st.session_state[VICTIMS].selection.rows
        if picked:
            trace_id = shown[picked[0]].trace_id
            st.query_params.from_dict({"incident": incident.id, "trace": trace_id})

    st.dataframe(
        tables.victim_rows(shown, zone),
        hide_index=True,
        height="auto" if len(shown) < 8 else 300,
        column_config={name: st.column_config.TextColumn(width="medium") for name in WIDE},
        key=VICTIMS,
        on_select=pick,
        selection_mode="single-row",
    )
    _request_list(incident, [*shown, *([] if rows else [chosen])], chosen, zone)


def _request_list(
    incident: Incident, shown: Sequence[Victim], chosen: Victim, zone: tzinfo
) -> None:
    st.subheader("One of them on a clock")
    st.session_state["request"] = next(n for n, victim in enumerate(shown) if victim is chosen)

    def pick() -> None:
        trace_id = shown[st.session_state["request"]].trace_id
        st.query_params.from_dict({"incident": incident.id, "trace": trace_id})

    st.selectbox(
        "Which 504 to draw (or tick its row above)",
        range(len(shown)),
        format_func=lambda n: tables.victim_name(shown[n], zone),
        key="request",
        on_change=pick,
    )


def _ink() -> palette.Ink:
    return palette.ink(st.context.theme.type)


def _zone() -> tzinfo:
    name = st.context.timezone
    try:
        return ZoneInfo(name) if name else UTC
    except (KeyError, ValueError, OSError):
        return UTC


def _zone_name(zone: tzinfo) -> str:
    return plain(str(zone), 40) if isinstance(zone, ZoneInfo) else "UTC"
