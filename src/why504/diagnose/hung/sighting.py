"""What a row of the table sees, if it sees something."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from why504.diagnose.hung.snapshot import Frame
from why504.diagnose.hung.stacks import place


class Sighting(NamedTuple):
    """What a row saw."""

    causes: Sequence[str]
    """Ids, the likeliest first; only `UNKNOWN` where the taxonomy has no name for it."""
    sentence: str
    site: Frame | None = None
    proof: Sequence[str] = ()
    doubt: Sequence[str] = ()
    title: str = ""
    """Its name, where the taxonomy has none."""
    advice: Sequence[str] = ()
    """What to do, where the taxonomy has no advice."""


def at(site: Frame | None) -> str:
    """Return a line for a sentence: ` at app.py:12`; nothing where none is known."""
    return f" at {place(site)}" if site else ""


def wait(count: int, what: str) -> str:
    """Return `1 client waits`, `3 clients wait`."""
    return f"1 {what} waits" if count == 1 else f"{count} {what}s wait"
