"""Text whose lines are to stay as they are: stacks, and where in the code something is."""

from __future__ import annotations

from typing import Final

import streamlit as st

_JOINER: Final = "\u2060"
"""A character without width that is no space."""


def lines(text: str, key: str) -> None:
    """Draw text in letters of one width; nothing in it is interpreted.

    `st.code` would have the browser read the grammars of 300 languages first, half a second on a
    desk's computer, though no language is asked for.
    """
    with st.container(key=f"lines_{key}"):
        # Streamlit takes spaces away from the front of a text; of this they are a part.
        st.text(_JOINER + text if text.startswith(" ") else text, width="stretch")
