"""Opens the store that the explorer was started on and asks the engine about it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import streamlit as st

from dashboards.freshness import Refreshed
from why504.errors import ConfigError, StoreUnavailable
from why504.model import Evidence, Incident, Window
from why504.stores.base import EvidenceStore
from why504.stores.opening import may_tell, open_store

_MINUTE_NS: Final = 60 * 10**9
_LONGEST_BEFORE_NS: Final = 15 * _MINUTE_NS


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
    return Refreshed(lambda: _read_incidents(folder))


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
    return _around(folder, about(incident.window))


def about(window: Window) -> Window:
    """Return an incident's window with what is read before and after it."""
    length_ns = window.end_ns - window.start_ns
    before_ns = min(max(length_ns, _MINUTE_NS), _LONGEST_BEFORE_NS)
    return Window(window.start_ns - before_ns, window.end_ns + _MINUTE_NS)


@st.cache_resource(max_entries=4, show_spinner=False, ttl=60)
def _around(folder: Path, window: Window) -> Evidence:
    return store_in(folder).sample(window)


@st.cache_resource(ttl=10, max_entries=64, show_spinner=False)
def trace(folder: Path, trace_id: str) -> Evidence:
    """Return everything known of one trace.

    Raises:
        StoreUnavailable: the store can't be read now.
    """
    return store_in(folder).trace(trace_id)
