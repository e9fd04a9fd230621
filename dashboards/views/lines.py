"""Text whose lines are to stay as they are: stacks, and where in the code something is."""

from __future__ import annotations

import streamlit as st


def lines(text: str, key: str) -> None:
    """Draw text in letters of one width; nothing in it is interpreted.

    `st.code` would have the browser read the grammars of 300 languages first, half a second on a
    desk's computer, though no language is asked for.
    """
    with st.container(key=f"lines_{key}"):
        st.text(text, width="stretch")
