"""The page `llm`."""

from __future__ import annotations

import streamlit as st

from dashboards.visit import Visit
from dashboards.words import common


def page(visit: Visit) -> None:
    """Draw the page."""
    st.title(visit.say(common.LLM))
