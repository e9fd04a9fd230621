"""Incidents: the alerts of one service that burn at the same time, and why they do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256

from why504.alerts.alert import Alert, Level
from why504.alerts.kept.database import Database
from why504.alerts.kept.message import Known, Over
from why504.alerts.rooms.finding import Aftermath, Finding


class Incidents:
    """The part of the ledger that knows incidents."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, alert: Alert) -> str:
        """Return the key of the incident that goes on, else of a new one; in a transaction.

        Its key depends on the first alert alone, so that a lost ledger finds the same thread.
        """
        level = alert.level
        if level > Level.P1:
            return ""
        known = self._database.one(
            "SELECT key, level FROM incidents WHERE service = ? AND EXISTS (SELECT 1 FROM alerts"
            " WHERE incident = key AND status = 'firing') ORDER BY opened_ns DESC LIMIT 1",
            alert.service,
        )
        if known:
            if level < known[1]:
                self.worsen(known[0], level)
            return str(known[0])
        told = f"{alert.service}\x00{alert.fingerprint}\x00{alert.starts_ns}"
        key = sha256(told.encode("utf-8", "replace")).hexdigest()[:16]
        self._database.execute(
            "INSERT OR IGNORE INTO incidents(key, service, opened_ns, level) VALUES (?, ?, ?, ?)",
            (key, alert.service, alert.starts_ns, level),
        )
        return key

    def worsen(self, key: str, level: Level) -> None:
        """Note that something more urgent happened, in a transaction."""
        self._database.execute(
            "UPDATE incidents SET level = min(level, ?) WHERE key = ?", (level, key)
        )

    def unexplained(self, since_ns: int) -> list[str]:
        """Return the P0 incidents that go on, began since, and of which nobody knows why."""
        rows = self._database.all(
            "SELECT key FROM incidents WHERE level = ? AND opened_ns >= ? AND EXISTS"
            " (SELECT 1 FROM alerts WHERE incident = key AND status = 'firing')"
            " AND NOT EXISTS (SELECT 1 FROM findings WHERE incident = key) LIMIT 100",
            Level.P0,
            since_ns,
        )
        return [row[0] for row in rows]

    def explain(self, incidents: Sequence[str], finding: Finding, now_ns: int) -> None:
        """Keep why some incidents burn; told once each."""
        document = json.dumps(asdict(finding))
        with self._database.transaction():
            self._database.executemany(
                "INSERT OR IGNORE INTO findings(incident, document, found_ns) VALUES (?, ?, ?)",
                [(key, document, now_ns) for key in incidents],
            )

    def untold(self) -> dict[str, Finding]:
        """Return the findings that nobody was told of, by incident, the oldest first."""
        rows = self._database.all(
            "SELECT incident, document FROM findings WHERE message IS NULL ORDER BY found_ns"
        )
        return {incident: Finding(**json.loads(document)) for incident, document in rows}

    def over(self, since_ns: int) -> list[Over]:
        """Return the P0 incidents that were told, ended since, and whose aftermath is not known."""
        rows = self._database.all(
            "SELECT key, service, opened_ns, ended_ns FROM (SELECT i.*,"
            " (SELECT max(json_extract(document, '$.ends_ns')) FROM alerts WHERE incident = key)"
            " AS ended_ns FROM incidents i WHERE level = ? AND told > 0"
            " AND NOT EXISTS (SELECT 1 FROM alerts WHERE incident = key AND status = 'firing')"
            " AND NOT EXISTS (SELECT 1 FROM aftermaths WHERE incident = key))"
            " WHERE ended_ns >= ? LIMIT 100",
            Level.P0,
            since_ns,
        )
        return [Over(*row) for row in rows]

    def close(self, key: str, aftermath: Aftermath, now_ns: int) -> None:
        """Keep what an incident did; told once."""
        with self._database.transaction():
            self._database.execute(
                "INSERT OR IGNORE INTO aftermaths(incident, document, found_ns) VALUES (?, ?, ?)",
                (key, json.dumps(asdict(aftermath)), now_ns),
            )

    def closing(self) -> tuple[str, Aftermath] | None:
        """Return an incident and what it did, of which nobody was told, None without any."""
        row = self._database.one(
            "SELECT incident, document FROM aftermaths WHERE message IS NULL ORDER BY found_ns"
        )
        return (row[0], Aftermath(**json.loads(row[1]))) if row else None

    def known(self, key: str) -> Known:
        """Return what is known of an incident that there is."""
        row = self._database.one(
            "SELECT service, level, told, opened_ns FROM incidents WHERE key = ?", key
        )
        service, level, told, opened_ns = row or ("", Level.P1, 0, 0)
        return Known(service, Level(level), told, opened_ns)

    def finding(self, key: str) -> Finding | None:
        """Return why an incident burns, if anybody knows, told or not."""
        row = self._database.one("SELECT document FROM findings WHERE incident = ?", key)
        return Finding(**json.loads(row[0])) if row else None

    def burns_since_ns(self, fingerprint: str) -> int | None:
        """Return since when an alert fires; None if it does not."""
        row = self._database.one(
            "SELECT max(starts_ns) FROM alerts WHERE fingerprint = ? AND status = 'firing'",
            fingerprint,
        )
        return row[0] if row else None
