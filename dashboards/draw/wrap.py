"""Breaks words from telemetry into lines that fit a box."""

from __future__ import annotations

import re
from typing import Final

from dashboards.draw.text import plain

_BREAKS: Final = re.compile(r"[^\s/_.:#,-]*[\s/_.:#,-]*")
"""A piece ends behind what may end a line: `/v1/`, `friendship_`."""


def wrapped(text: str, most: int, lines: int) -> tuple[str, ...]:
    """Return at least one and at most so many lines; what was cut off is an ellipsis.

    Args:
        text: from telemetry; is made plain.
        most: characters a line, at least 2.
        lines: at least 1.
    """
    rest = plain(text, most * lines * 2) or "–"
    found: list[str] = []
    while rest and len(found) < lines - 1:
        line = _first_line(rest, most)
        found.append(line.rstrip())
        rest = rest[len(line) :]
    if rest or not found:
        found.append(rest if len(rest) <= most else rest[: most - 1].rstrip() + "…")
    return tuple(found)


def _first_line(text: str, most: int) -> str:
    """Return as many whole pieces as fit; a part of the first one if it is too long itself."""
    line = ""
    for piece in _BREAKS.findall(text):
        if len((line + piece).rstrip()) > most:
            break
        line += piece
    return line or text[:most]
