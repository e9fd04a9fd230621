"""Colours that stay apart for colour-blind readers, on dark and light.

Source: Okabe and Ito, "Color Universal Design" (2008). Yellow is left out: unreadable on white.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

KINDS: Final = {
    "gateway": "#56B4E9",
    "application": "#0072B2",
    "database": "#009E73",
    "broker": "#007A99",
    "llm": "#8A6FDF",
    "peer": "#7F7F7F",
    "wait": "#E69F00",
    "hold": "#CC79A7",
    "stall": "#D55E00",
}
"""Colour of each kind of bar."""
ALARM: Final = "#D55E00"
QUIET: Final = "#8c8c8c"
"""What is neither good nor bad; readable on dark and light."""
LLM_OUTCOMES: Final = {
    "answered": "#0072B2",
    "refused": "#E69F00",
    "given_up": "#CC79A7",
    "failed": "#D55E00",
    "not_sent": "#56B4E9",
    "open": QUIET,
}
"""Colour of what became of an LLM call (`why504.diagnose.llm_calls.OUTCOMES`)."""
LEVELS: Final = {"P0": "#D55E00", "P1": "#E69F00", "P2": "#0072B2"}
"""Colour of each level of alerts."""


@dataclass(frozen=True, slots=True)
class Ink:
    """Colours that depend on the page's background."""

    strong: str
    """For words and outlines."""
    paper: str
    """The background itself."""


LIGHT: Final = Ink(strong="#1a1c24", paper="#ffffff")
DARK: Final = Ink(strong="#fafafa", paper="#171614")


def ink(theme: str | None) -> Ink:
    """Return the ink for Streamlit's theme type, `dark` or `light`; None means not known yet."""
    return DARK if theme == "dark" else LIGHT
