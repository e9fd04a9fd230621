"""Opens the store that the explorer was started on and asks the engine about it.

Results are kept for a few seconds, because Streamlit runs a page again at every click.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import streamlit as st

from why504.model import Evidence, Incident
from why504.stores.base import EvidenceStore

FRESH_S = 10
"""Age at which what was read is read again; a hang is watched while it grows."""


def store_folder(arguments: Sequence[str], env: Mapping[str, str]) -> Path | None:
    """Return the folder of the store: `--store FOLDER`, else WHY504_STORE; None when neither is."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--store", default=env.get("WHY504_STORE"))
    named: str | None = parser.parse_known_args(arguments)[0].store
    return Path(named) if named else None


def open_store(folder: Path) -> EvidenceStore:
    """Return the embedded store in `folder`."""
    from why504.stores.parquet import ParquetStore

    return ParquetStore(folder)


@st.cache_resource(ttl=FRESH_S, max_entries=4, show_spinner="Reading the evidence …")
def incidents(folder: Path) -> list[Incident]:
    """Return every incident in the store, latest first; none when the store is empty.

    Raises:
        StoreUnavailable: the store can't be read now.
    """
    from why504.diagnose import explain

    if not folder.is_dir():
        return []
    store = open_store(folder)
    covered = store.extent()
    if covered is None:
        return []
    found = explain(store.sample(covered))
    return sorted(found, key=lambda incident: -incident.window.start_ns)


@st.cache_resource(ttl=FRESH_S, max_entries=64, show_spinner="Reading the trace …")
def trace(folder: Path, trace_id: str) -> Evidence:
    """Return everything known of one trace.

    Raises:
        StoreUnavailable: the store can't be read now.
    """
    return open_store(folder).trace(trace_id)
