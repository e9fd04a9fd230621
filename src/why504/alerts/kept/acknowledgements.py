"""Who looks after which incident: the first who says so, for good."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final, NamedTuple

from why504.alerts.alert import Level
from why504.alerts.kept.database import Database
from why504.alerts.kept.message import ACKNOWLEDGED, MAIN

_KEY: Final = "acknowledge"
_KEY_BYTES: Final = 32


class Answered(NamedTuple):
    """An incident, and who looks after it."""

    key: str
    service: str
    level: Level
    opened_ns: int
    live: bool
    """Whether anything of it still fires."""
    by: str | None
    """A stranger's word, empty if they gave no name; None: nobody."""
    at_ns: int | None


class Acknowledgements:
    """The part of the ledger that knows them, and the key that signs links to them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def key(self) -> bytes:
        """Return the key of this ledger, made at the first call."""
        with self._database.transaction():
            self._database.execute(
                "INSERT OR IGNORE INTO keys(name, value) VALUES (?, ?)",
                (_KEY, secrets.token_bytes(_KEY_BYTES)),
            )
            (key,) = self._database.all("SELECT value FROM keys WHERE name = ?", _KEY)[0]
        return bytes(key)

    def of(self, incidents: Sequence[str]) -> list[Answered]:
        """Return the incidents of these that there are."""
        rows = [
            self._database.one(
                "SELECT i.key, i.service, i.level, i.opened_ns, EXISTS (SELECT 1 FROM alerts"
                " WHERE incident = i.key AND status = 'firing'), a.name, a.at_ns FROM incidents i"
                " LEFT JOIN acknowledgements a ON a.incident = i.key WHERE i.key = ?",
                key,
            )
            for key in incidents
        ]
        return [
            Answered(row[0], row[1], Level(row[2]), row[3], bool(row[4]), row[5], row[6])
            for row in rows if row
        ]  # fmt: skip

    def add(self, incidents: Sequence[str], name: str, now_ns: int) -> None:
        """Keep who looks after incidents; where somebody does already, that stays.

        Raises:
            AlertsUnavailable: it is not kept.
        """
        with self._database.transaction():
            self._database.executemany(
                "INSERT OR IGNORE INTO acknowledgements(incident, name, at_ns) VALUES (?, ?, ?)",
                [(key, name, now_ns) for key in incidents],
            )

    def untold(self, room: str) -> list[Answered]:
        """Return what one answer acknowledged and a room that heard of it was not told."""
        rows = self._database.all(
            "SELECT incident, name, at_ns FROM acknowledgements a WHERE NOT EXISTS"
            " (SELECT 1 FROM notices WHERE incident = a.incident AND room = ?1 AND kind = ?2)"
            " AND (?1 = ?3 OR EXISTS"
            " (SELECT 1 FROM notices WHERE incident = a.incident AND room = ?1))"
            " ORDER BY at_ns, name",
            room,
            ACKNOWLEDGED,
            MAIN,
        )
        return self.of([row[0] for row in rows if row[1:] == rows[0][1:]])

    def count(self) -> int:
        """Return how many incidents somebody looks after, or did."""
        row = self._database.one("SELECT count(*) FROM acknowledgements")
        return row[0] if row else 0
