"""Opens the store that the explorer was started on and asks the engine about it."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboards import windows
from dashboards.freshness import Refreshed
from why504.errors import ConfigError, StoreUnavailable
from why504.model import Evidence, Incident, Window
from why504.stores.base import EvidenceStore
from why504.stores.opening import may_tell, open_store


@st.cache_resource(show_spinner=False)
def store_in(folder: Path) -> EvidenceStore:
    """Return the embedded store in `folder`, or Tempo if it is an address.

    Raises:
        StoreUnavailable: Tempo's address, or a setting of it, makes no sense.
    """
    try:
        return open_store(folder)
    except ConfigError as error:
        raise StoreUnavailable(str(error)) from error


def incidents(folder: Path) -> list[Incident]:
    """Return every incident in the store, latest first; none when the store is empty.

    Raises:
        StoreUnavailable: the store can't be read now.
    """
    return _incidents(folder).get()


@st.cache_resource(max_entries=4, show_spinner=False)
def _incidents(folder: Path) -> Refreshed[list[Incident]]:
    return Refreshed(lambda: _read_incidents(folder), version=lambda: store_in(folder).version())


def _read_incidents(folder: Path) -> list[Incident]:
    from why504.diagnose import explain

    if not may_tell(folder):
        return []
    store = store_in(folder)
    covered = store.extent()
    if covered is None:
        return []
    found = explain(store.sample(covered))
    return sorted(found, key=lambda incident: -incident.window.start_ns)


def around(folder: Path, incident: Incident) -> Evidence:
    """Return what is known of an incident's time, with as long before it, and a minute after.

    Before is at least a minute and at most fifteen. Of much, a sample is read.

    Raises:
        StoreUnavailable: the store can't be read now.
    """
    return _around(folder, windows.around(incident.window)).get()


@st.cache_resource(max_entries=4, show_spinner=False)
def _around(folder: Path, window: Window) -> Refreshed[Evidence]:
    store = store_in(folder)
    return Refreshed(lambda: store.sample(window), version=store.version)


@st.cache_resource(ttl=10, max_entries=64, show_spinner=False)
def trace(folder: Path, trace_id: str) -> Evidence:
    """Return everything known of one trace.

    Raises:
        StoreUnavailable: the store can't be read now.
    """
    return store_in(folder).trace(trace_id)
