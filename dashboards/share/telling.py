"""What every section needs besides its words: the dossier, the language, the zone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Final

from dashboards.draw.text import moment, plain
from dashboards.language import Say
from dashboards.share.dossier import Dossier
from dashboards.words import share as words

ROWS_SHOWN: Final = 20
"""Of any table; the others are counted."""
CELL: Final = 160
"""Characters of a cell."""


@dataclass(frozen=True, slots=True)
class Telling:
    """One dossier being told."""

    dossier: Dossier
    say: Say
    zone: tzinfo = UTC

    def at(self, time_ns: int, *, date: bool = False) -> str:
        """Return a moment in the zone of the file; its date too if the incident had several."""
        window = self.dossier.incident.window
        days = {moment(at_ns, self.zone)[:10] for at_ns in (window.start_ns, window.end_ns)}
        return moment(time_ns, self.zone, date=date or len(days) > 1)

    def shown(self, rows: Sequence[Sequence[str]]) -> list[Sequence[str]]:
        """Return the first rows of a table, and one that counts the others."""
        if len(rows) <= ROWS_SHOWN:
            return list(rows)
        more = self.say(words.MORE, count=len(rows) - ROWS_SHOWN)
        return [*rows[:ROWS_SHOWN], [more, *([""] * (len(rows[0]) - 1))]]


def cell(text: str) -> str:
    """Return a cell's text of telemetry: one short line."""
    return plain(text, CELL)
