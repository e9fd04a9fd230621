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


def show(first: str = "now") -> None:
    """Draw the page that the address names.

    Args:
        first: path of the page to draw where the address names none.
    """
    st.set_page_config(page_title="why504", layout="wide")
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
    _from_a_card(page, visit)
    page.run()
    _languages(visit.say)


def _from_a_card(page: st.Page, visit: Visit) -> None:
    """Open what a card's link names: it leads to the explorer, not to a page of it.

    Only at first: on the way back from a request the browser passes through such an address, too.
    """
    if st.session_state.get(_ENTERED):
        return
    st.session_state[_ENTERED] = True
    named = {key: st.query_params[key] for key in ("incident", "trace") if key in st.query_params}
    if named and page == visit.pages["now"]:
        visit.go("incident", **named)


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
