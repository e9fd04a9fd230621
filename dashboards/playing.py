"""Plays incidents again, and keeps those who can answer what would have become of one."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboards import evidence
from why504.diagnose.whatif.asking import Asker
from why504.errors import NotReplayable
from why504.model import Incident


def asker(folder: Path, incident: Incident) -> Asker | str:
    """Return who answers for an incident, or why nobody can; takes a second or two, but once.

    Raises:
        StoreUnavailable: the store can't be read now.
    """
    return _asker(folder, incident.id, incident.window.end_ns, incident.count, incident)


@st.cache_resource(max_entries=4, show_spinner=False)
def _asker(
    folder: Path, incident_id: str, end_ns: int, count: int, _incident: Incident
) -> Asker | str:
    """Keep one for each state of an incident, which keeps its id while it grows."""
    try:
        return Asker(_incident, evidence.around(folder, _incident))
    except NotReplayable as error:
        return str(error)
