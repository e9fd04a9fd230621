"""The incident as a file, to hand on: a part of the incident page."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlencode

import streamlit as st

from dashboards import evidence
from dashboards.draw.text import plain
from dashboards.language import LANGUAGES, Said, Say
from dashboards.views.lines import lines
from dashboards.visit import Visit
from dashboards.words import share as words
from why504.model import Incident

LANGUAGE: Final = "lang"


class Kind(NamedTuple):
    """One kind of file that can be downloaded."""

    suffix: str
    mime: str
    label: Said
    read: Said
    """What it is for."""


KINDS: Final = (
    Kind("html", "text/html", words.AS_HTML, words.AS_HTML_READ),
    Kind("md", "text/markdown", words.AS_MARKDOWN, words.AS_MARKDOWN_READ),
    Kind("json", "application/json", words.AS_JSON, words.AS_JSON_READ),
)


def section(visit: Visit, folder: Path, incident: Incident) -> None:
    """Draw it; a file is made when somebody asks for it, which takes seconds."""
    st.header(visit.say(words.HAND_ON))
    st.caption(visit.say(words.HAND_ON_READ))
    address = _address(incident, visit.say)
    with st.container(horizontal=True):
        for kind in KINDS:
            st.download_button(
                visit.say(kind.label),
                data=partial(_made, kind.suffix, visit, folder, incident, address),
                file_name=f"why504-{_name(incident)}.{kind.suffix}",
                mime=kind.mime,
                icon=":material/download:",
                help=visit.say(kind.read),
                key=f"download_{kind.suffix}",
                on_click="ignore",
            )
    st.text(visit.say(words.ADDRESS))
    lines(plain(address), "address")


def _made(suffix: str, visit: Visit, folder: Path, incident: Incident, address: str) -> str:
    """Return the text of a file.

    Raises:
        StoreUnavailable: the store can't be read now; Streamlit tells whoever clicked.
    """
    from dashboards.share import writing
    from dashboards.share.dossier import collect

    store = evidence.store_in(folder)
    dossier = collect(store, incident, made_ns=time.time_ns(), address=address)
    made: dict[str, Callable[[], str]] = {
        "html": lambda: writing.as_html(dossier, visit.say, visit.zone),
        "md": lambda: writing.as_markdown(dossier, visit.say, visit.zone),
        "json": lambda: writing.as_json(dossier),
    }
    return made[suffix]()


def _address(incident: Incident, say: Say) -> str:
    """Return where this page is, in the language in which it is read."""
    page = (st.context.url or "").partition("?")[0]
    query = {"incident": incident.id}
    if say.language != next(iter(LANGUAGES)):
        query[LANGUAGE] = say.language
    return f"{page}?{urlencode(query)}"


def _name(incident: Incident) -> str:
    return "".join(c for c in incident.id[:40] if c.isascii() and (c.isalnum() or c == "-"))
