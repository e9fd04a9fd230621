"""What an incident is told of once, beside its changes: to others, and when nobody comes."""

from __future__ import annotations

from typing import Final

from why504.alerts.alert import FIRING, Level
from why504.alerts.kept.database import Database
from why504.alerts.kept.message import ELSEWHERE, ESCALATION, Unsent
from why504.alerts.kept.unsent import read_unsent

_FORGOTTEN_NS: Final = 24 * 3600 * 10**9
"""What is over and older is no news in another room."""
_MOST: Final = 1600


class Notices:
    """The part of the ledger that knows who did not hear, and who did not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def late(self, before_ns: int) -> list[Unsent]:
        """Return P0 changes that are not in the first room, of incidents not told in the second.

        Args:
            before_ns: of each incident, one that fired was taken by then.
        """
        rows = read_unsent(
            self._database,
            "c.level = ? AND (c.message IS NULL OR c.message IN"
            " (SELECT id FROM messages WHERE state != 'delivered')) AND NOT EXISTS"
            " (SELECT 1 FROM notices n WHERE n.incident = c.incident AND n.kind = ?)"
            " AND (c.taken_ns > ? OR EXISTS"
            " (SELECT 1 FROM alerts WHERE incident = c.incident AND status = 'firing'))"
            " ORDER BY c.id LIMIT ?",
            Level.P0,
            ELSEWHERE,
            before_ns - _FORGOTTEN_NS,
            _MOST,
        )
        due = {
            one.incident for one in rows
            if one.change.alert.status == FIRING and one.change.taken_ns <= before_ns
        }  # fmt: skip
        return [one for one in rows if one.incident in due]

    def unanswered(self, before_ns: int) -> list[Unsent]:
        """Return the P0 changes that burn, of incidents that nobody acknowledged.

        Args:
            before_ns: a P0 of each incident was in a room by then.
        """
        rows = self._database.all(
            "SELECT DISTINCT a.incident FROM alerts a JOIN incidents i ON i.key = a.incident"
            " WHERE a.status = 'firing' AND i.level = ?1"
            " AND NOT EXISTS (SELECT 1 FROM acknowledgements WHERE incident = i.key)"
            " AND NOT EXISTS (SELECT 1 FROM notices WHERE incident = i.key AND kind = ?2)"
            " AND (SELECT min(ended_ns) FROM messages WHERE state = 'delivered' AND id IN"
            " (SELECT message FROM changes WHERE incident = i.key AND level = ?1 UNION ALL"
            " SELECT message FROM notices WHERE incident = i.key AND kind = ?3)) <= ?4 LIMIT ?5",
            Level.P0,
            ESCALATION,
            ELSEWHERE,
            before_ns,
            _MOST,
        )
        return [one for (key,) in rows for one in self._burning(key)]

    def _burning(self, incident: str) -> list[Unsent]:
        burn = set(
            self._database.all(
                "SELECT fingerprint, starts_ns FROM alerts"
                " WHERE incident = ? AND status = 'firing'",
                incident,
            )
        )
        told = read_unsent(
            self._database,
            "c.incident = ? AND c.level = ? ORDER BY c.id DESC LIMIT ?",
            incident,
            Level.P0,
            _MOST,
        )
        return [one for one in reversed(told) if one.change.alert.identity in burn]

    def count(self, kind: str) -> int:
        """Return how many incidents were told of in a way."""
        row = self._database.one(
            "SELECT count(DISTINCT incident) FROM notices WHERE kind = ?", kind
        )
        return row[0] if row else 0
