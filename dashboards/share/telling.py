"""What every section needs besides its words: the dossier, the language, the zone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Final

import altair as alt

from dashboards.draw.text import moment, plain
from dashboards.language import Said, Say
from dashboards.share import figures
from dashboards.share.blocks import Block
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
    drawing: bool = True
    """Whether the file can hold figures: drawing them takes a second."""

    def at(self, time_ns: int, *, date: bool = False) -> str:
        """Return a moment in the zone of the file; its date too if the incident had several."""
        window = self.dossier.incident.window
        days = {moment(at_ns, self.zone)[:10] for at_ns in (window.start_ns, window.end_ns)}
        return moment(time_ns, self.zone, date=date or len(days) > 1)

    def figure(
        self, name: str, alt_text: Said, make: Callable[[], alt.TopLevelMixin]
    ) -> list[Block]:
        """Return a figure, or nothing where the file holds none or it can't be drawn."""
        if not self.drawing:
            return []
        drawn = figures.figure(name, self.say(alt_text), make)
        return [drawn] if drawn else []

    def shown(self, rows: Sequence[Sequence[str]]) -> list[Sequence[str]]:
        """Return the first rows of a table, and one that counts the others."""
        if len(rows) <= ROWS_SHOWN:
            return list(rows)
        more = self.say(words.MORE, count=len(rows) - ROWS_SHOWN)
        return [*rows[:ROWS_SHOWN], [more, *([""] * (len(rows[0]) - 1))]]


def cell(text: str) -> str:
    """Return a cell's text of telemetry: one short line."""
    return plain(text, CELL)
