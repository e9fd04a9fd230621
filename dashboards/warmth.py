"""What visitors would wait for, done before they need it: libraries loaded, evidence read."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from dashboards.settings import Settings
from why504.errors import StoreUnavailable

log = logging.getLogger(__name__)

THREAD: Final = "warmth"
PATIENCE_S: Final = 5.0
_ahead = threading.Lock()
"""Held by the one thread that reads ahead."""


@asynccontextmanager
async def warmed(_app: object) -> AsyncIterator[None]:
    """Load libraries and read the store before anybody is answered, but of a large one no longer.

    A visitor who comes before it is read waits for that same reading.
    """
    read_ahead("")
    try:
        await asyncio.to_thread(_load)
        await asyncio.to_thread(_read_by_now)
        yield
    finally:
        # Whoever ends while DuckDB reads is ended by it, and not in peace.
        await asyncio.to_thread(_read_by_now)


def read_ahead(incident_id: str) -> None:
    """Begin to read what the page of an incident will ask for, unless something is being read.

    A browser needs a second to load the page; the evidence is read in it. Of an incident that is
    not there, and of none, the latest is read.
    """
    store = Settings.read(sys.argv[1:], os.environ).store
    if store is not None and _ahead.acquire(blocking=False):
        threading.Thread(target=_read, args=[store, incident_id], daemon=True, name=THREAD).start()


def _read(store: Path, incident_id: str) -> None:
    from dashboards import evidence, links
    from dashboards.views import comparing, timeline

    try:
        if found := evidence.incidents(store):
            incident = links.choose(found, incident_id, "").incident
            timeline.prepare(store, incident)
            comparing.prepare(store, incident)
    except StoreUnavailable as error:
        # The page says so too, to whoever looks.
        log.warning("%s", error)
    finally:
        _ahead.release()


def _read_by_now() -> None:
    """Wait until what is being read ahead is read, or for five seconds."""
    if _ahead.acquire(timeout=PATIENCE_S):
        _ahead.release()


def _load() -> None:
    """Have libraries do what they put off until they are first used."""
    import altair as alt
    from altair.utils.schemapi import disable_debug_mode
    from streamlit.dataframe_util import convert_anything_to_arrow_bytes
    from streamlit.env_util import is_repl

    import dashboards.pages  # noqa: F401 - the pages, and what they need

    # It checks each part of a chart against a schema, in half of the time that a click takes here.
    disable_debug_mode()
    convert_anything_to_arrow_bytes({"": [""]})
    is_repl()
    alt.Chart(alt.InlineData(values=[])).mark_bar().encode(x="a:Q", y="b:N").to_dict()
