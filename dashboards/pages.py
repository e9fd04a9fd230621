"""The pages of the explorer, as a table, and what each run of it begins with."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import streamlit as st

from dashboards import signin
from dashboards.draw.palette import ink
from dashboards.language import LANGUAGES, Said, Say, chosen
from dashboards.settings import Settings
from dashboards.views import alerts, doctor, incident, incidents, llm, now, request
from dashboards.visit import Visit, zone_named
from dashboards.words import common

STYLE: Final = Path(__file__).with_name("style.css")
LANGUAGE: Final = "lang"
_ENTERED: Final = "entered"


class Page(NamedTuple):
    """One page: its address, its name, and the function that draws it."""

    path: str
    title: Said
    draw: Callable[[Visit], None]
    listed: bool = True
    """Whether the navigation shows it; others are opened by what they show."""


PAGES: Final = (
    Page("now", common.NOW, now.page),
    Page("incidents", common.INCIDENTS, incidents.page),
    Page("incident", common.INCIDENT, incident.page, listed=False),
    Page("request", common.REQUEST, request.page, listed=False),
    Page("llm", common.LLM, llm.page),
    Page("alerts", common.ALERTS, alerts.page),
    Page("doctor", common.DOCTOR, doctor.page),
)


def show(first: str = "") -> None:
    """Draw the page that the address names.

    Args:
        first: path of the page to draw where the address names none; empty: as `_start` says.
    """
    st.set_page_config(layout="wide")
    st.html(STYLE)
    settings, say = Settings.read(sys.argv[1:], os.environ), Say(_language())
    if not signin.admitted(settings, say):
        _languages(say)
        return
    pages: dict[str, st.Page] = {}
    visit = Visit(
        settings=settings,
        say=say,
        ink=ink(st.context.theme.type),
        zone=zone_named(st.context.timezone),
        pages=pages,
    )
    if not first:
        start = partial(_start, visit)
        title = visit.say(common.NOW)
        pages[""] = st.Page(start, title=title, default=True, visibility="hidden")
    for row in PAGES:
        pages[row.path] = st.Page(
            partial(row.draw, visit),
            title=visit.say(row.title),
            # A named icon would be fetched from its maker's servers, for the browser's tab.
            icon="",
            url_path=row.path,
            default=row.path == first,
            visibility="visible" if row.listed else "hidden",
        )
    page = st.navigation(list(pages.values()), position="top")
    st.set_page_config(page_title=f"{page.title} · why504")
    page.run()
    _languages(visit.say)


def _start(visit: Visit) -> None:
    """Open what a card's link names, which leads to the explorer and not to a page of it; else Now.

    Only at first: on the way back from a request the browser passes through such an address, too.
    """
    named = {key: st.query_params[key] for key in ("incident", "trace") if key in st.query_params}
    if named and not st.session_state.get(_ENTERED):
        st.session_state[_ENTERED] = True
        visit.go("incident", **named)
    now.page(visit)


def _language() -> str:
    asked = st.query_params.get(LANGUAGE) or st.session_state.get(LANGUAGE, "")
    st.session_state[LANGUAGE] = chosen(asked, st.context.locale or "")
    return str(st.session_state[LANGUAGE])


def _languages(say: Say) -> None:
    """Offer the other languages, below everything else."""
    for language, name in LANGUAGES.items():
        if language != say.language and st.button(name, type="tertiary", key=f"speak_{language}"):
            st.session_state[LANGUAGE] = language
            st.query_params[LANGUAGE] = language
            st.rerun()
