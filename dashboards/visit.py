"""Who looks, from where: what every page needs besides evidence. Made once a run, by pages.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import NoReturn
from zoneinfo import ZoneInfo

import streamlit as st

from dashboards.draw.palette import Ink
from dashboards.draw.text import plain
from dashboards.language import Say
from dashboards.settings import Settings


@dataclass(frozen=True, slots=True)
class Visit:
    """One run of the explorer for one browser."""

    settings: Settings
    say: Say
    ink: Ink
    zone: tzinfo
    """Of the browser: times are shown in it."""
    pages: Mapping[str, st.Page]
    """By the path of their address: `now`, `incidents`, `incident`, `request`, ..."""

    def go(self, path: str, **query: str) -> NoReturn:
        """Open another page; what it shows is in its address."""
        st.switch_page(self.pages[path], query_params=query)

    @property
    def zone_name(self) -> str:
        """Return what to call the zone."""
        return plain(str(self.zone), 40) if isinstance(self.zone, ZoneInfo) else "UTC"


def zone_named(name: str | None) -> tzinfo:
    """Return the zone of that name, which comes from the browser; UTC if there is none."""
    try:
        return ZoneInfo(name) if name else UTC
    except (KeyError, ValueError, OSError):
        return UTC
