"""The fingerprints in a message: each alert that it tells can be found in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from why504.alerts.alert import FIRING, MARK, RESOLVED, Alert
from why504.alerts.cards.text import in_message
from why504.alerts.cards.widgets import Json, Room, line
from why504.alerts.cards.words import word

MOST_ALERTS: Final = 1_000
"""So many are told in one message at most: their marks take half of it."""
_IN_A_LINE: Final = 100


def marks_of(states: Sequence[Alert], language: str) -> list[Json]:
    """Return lines that name alerts by their fingerprints, those that fire first."""
    lines = []
    for status in (FIRING, RESOLVED):
        of_status = [alert.fingerprint for alert in states if alert.status == status]
        for first in range(0, len(of_status), _IN_A_LINE):
            some = of_status[first : first + _IN_A_LINE]
            label = f"{len(some)} {word(status, language)}"
            lines.append(line(label, " ".join(some), _IN_A_LINE * (MARK + 1)))
    return lines


def beside(marks: Sequence[Json]) -> Room:
    """Return what is left for everything else: an alert that is not named would be lost."""
    kept = Room()
    kept.add(*marks)
    return Room(kept.bytes_left, kept.widgets_left)


def section_of(marks: Sequence[Json], language: str) -> Json:
    """Return the part of a card that has them: closed until somebody looks for an alert."""
    return {"header": word("marks", language), "collapsible": True, "widgets": list(marks)}


def in_text(told: Sequence[Alert]) -> str:
    """Return fingerprints for a message's text."""
    marks = [alert.fingerprint for alert in told[:MOST_ALERTS]]
    return in_message(" ".join(marks), MOST_ALERTS * (MARK + 1))
