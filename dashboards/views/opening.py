"""How every page about incidents begins: what there is to show, or what to do if there is none."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboards import evidence
from dashboards.draw.text import plain
from dashboards.links import Choice
from dashboards.visit import Visit
from dashboards.words import common
from why504.errors import StoreUnavailable
from why504.model import Incident
from why504.stores.opening import address_in


def opened(visit: Visit) -> tuple[Path, list[Incident]] | None:
    """Return the store and its incidents, latest first; None once the page has said why not."""
    folder = visit.settings.store
    if folder is None:
        st.info(visit.say(common.NO_STORE))
        _show_the_demo(visit)
        return None
    try:
        with st.spinner(visit.say(common.READING)):
            found = evidence.incidents(folder)
    except StoreUnavailable as error:
        st.error(visit.say(common.CANT_READ))
        st.text(plain(str(error)))
        return None
    if found:
        return folder, found
    st.info(visit.say(common.NOTHING))
    st.text(visit.say(common.STORE, folder=plain(address_in(folder) or str(folder))))
    _show_the_demo(visit)
    return None


def _show_the_demo(visit: Visit) -> None:
    st.markdown(visit.say(common.TRY_THE_DEMO))
    st.code("make demo", language=None)


def say_missing(visit: Visit, choice: Choice) -> bool:
    """Say that something in the address is not there, if so; return whether to show the rest.

    Nobody who is in a hurry may take another incident for the one that was asked for.
    """
    if choice.missing == "trace":
        st.warning(visit.say(common.NO_SUCH_REQUEST))
    if choice.missing != "incident":
        return True
    st.warning(visit.say(common.NO_SUCH_INCIDENT))
    to_the_list(visit)
    return False


def to_the_list(visit: Visit) -> None:
    """Offer the list of incidents."""
    st.page_link(
        visit.pages["incidents"], label=visit.say(common.ALL_INCIDENTS), icon=":material/list:"
    )
