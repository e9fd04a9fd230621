"""Reads what the page about LLMs draws, and keeps the figures rather than the evidence."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboards import evidence
from dashboards.freshness import Refreshed
from why504.diagnose.llm import LlmUse, llm_use
from why504.model import Incident, Window
from why504.stores.opening import may_tell


def everything(folder: Path) -> LlmUse | None:
    """Return how LLMs were used in all that is stored; None while nothing is.

    Raises:
        StoreUnavailable: the store can't be read now.
    """
    return _everything(folder).get()


@st.cache_resource(max_entries=4, show_spinner=False)
def _everything(folder: Path) -> Refreshed[LlmUse | None]:
    return Refreshed(lambda: _read(folder), version=lambda: evidence.store_in(folder).version())


def _read(folder: Path) -> LlmUse | None:
    if not may_tell(folder):
        return None
    store = evidence.store_in(folder)
    covered = store.extent()
    return llm_use(store.sample(covered)) if covered else None


def during(folder: Path, incident: Incident) -> LlmUse:
    """Return how they were used during an incident, with the minutes around it to draw.

    Raises:
        StoreUnavailable: the store can't be read now.
    """
    return _during(folder, incident.window, incident)


@st.cache_resource(max_entries=8, show_spinner=False, ttl=60)
def _during(folder: Path, window: Window, _incident: Incident) -> LlmUse:
    # Of two incidents with one window the evidence is the same.
    return llm_use(evidence.around(folder, _incident), window)
