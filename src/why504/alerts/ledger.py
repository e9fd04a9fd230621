"""What was told to us and what we told the room, on disk: SQLite, every commit synced.

An alert is taken when its row and what has to be told about it are committed. A message is frozen
before it is sent first, and sent again with the same bytes and id until the room has it: whatever
is killed in between, the room sees it once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from why504.alerts import heartbeat
from why504.alerts.alert import FIRING, RESOLVED, Alert, Level
from why504.alerts.database import Database
from why504.alerts.incidents import Incidents
from why504.alerts.message import Backlog, Batch, Change, Frozen, Message, Unsent
from why504.alerts.schema import SCHEMA
from why504.alerts.ticketbook import SCHEMA as TICKETS
from why504.alerts.ticketbook import TicketBook

MOST_CHANGES: Final = 400
"""So many changes are told in one message at most."""
TOLD_AGAIN_WITHIN_NS: Final = 5 * 3600 * 10**9
"""Alertmanager repeats each alert within four hours: what it forgot must not burn for ever."""
_WAITING, _DELIVERED, _DEAD = "waiting", "delivered", "dead"


class Ledger:
    """One file; for many threads, one transaction at a time."""

    def __init__(self, file: Path) -> None:
        """Open or create the file.

        Raises:
            AlertsUnavailable: the disk refuses, or the file is no ledger.
        """
        self._database = Database(file, SCHEMA + TICKETS)
        self.incidents = Incidents(self._database)
        self.tickets = TicketBook(self._database)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def take(self, alerts: Sequence[Alert], unreadable: Sequence[str], now_ns: int) -> int:
        """Make alerts durable; return how many of them say anything new.

        Raises:
            AlertsUnavailable: none of them was taken.
        """
        with self._database.transaction():
            for reason in unreadable:
                self._database.execute(
                    "INSERT INTO unreadable(reason, taken_ns) VALUES (?, ?)", (reason, now_ns)
                )
            return sum(self._take(alert, now_ns) for alert in alerts)

    def expire(self, now_ns: int, *, heartbeats: bool = True) -> int:
        """Take what nobody tells any more for over; return how many alerts that were.

        Args:
            heartbeats: whether those that stopped count: each raises an alert of its own.
        """
        rows = self._database.all(
            "SELECT document, expires_ns FROM alerts WHERE status = 'firing' AND expires_ns <= ?"
            " LIMIT ?",
            now_ns,
            MOST_CHANGES,
        )
        changes = []
        for document, expires_ns in rows:
            alert = Alert(**json.loads(document))
            if alert.level is not Level.HEARTBEAT:
                changes.append(replace(alert, status=RESOLVED, ends_ns=expires_ns))
            elif heartbeats:
                changes += [replace(alert, status=RESOLVED), heartbeat.missing(expires_ns)]
        return self.take(changes, [], now_ns) if changes else 0

    def _take(self, told: Alert, now_ns: int) -> bool:
        alert = self._dated(told, now_ns)
        known = self._database.one(
            "SELECT status, incident FROM alerts WHERE fingerprint = ? AND starts_ns = ?",
            *alert.identity,
        )
        beats = alert.level is Level.HEARTBEAT and alert.status == FIRING
        if beats:
            self._is_back(now_ns)
        if known and (known[0] == alert.status or (known[0] == RESOLVED and not beats)):
            # Told again; or out of order, and what is over is over.
            self._database.execute(
                "UPDATE alerts SET expires_ns = ? WHERE fingerprint = ? AND starts_ns = ?",
                (alert.expires_ns, *alert.identity),
            )
            return False
        # Whoever fires anew has stopped before, though nobody said so.
        self._database.execute(
            "UPDATE alerts SET status = 'resolved' WHERE fingerprint = ? AND starts_ns < ?",
            alert.identity,
        )
        incident = known[1] if known else self.incidents.of(alert)
        document = json.dumps(asdict(alert))
        self._database.execute(
            "INSERT OR REPLACE INTO alerts VALUES (?, ?, ?, ?, ?, ?)",
            (*alert.identity, alert.status, incident, alert.expires_ns, document),
        )
        if alert.level is not Level.HEARTBEAT:
            self._database.execute(
                "INSERT INTO changes(level, incident, document, taken_ns) VALUES (?, ?, ?, ?)",
                (alert.level, incident, document, now_ns),
            )
        return True

    def _is_back(self, now_ns: int) -> None:
        known = self._database.one(
            "SELECT starts_ns FROM alerts WHERE fingerprint = ? AND status = 'firing'",
            heartbeat.FINGERPRINT,
        )
        if known:
            self._take(heartbeat.back(known[0], now_ns), now_ns)

    def _dated(self, alert: Alert, now_ns: int) -> Alert:
        """Return an alert with its begin, and with a time from which it is no news any more."""
        starts_ns = alert.starts_ns
        if not starts_ns:
            known = self._database.one(
                "SELECT max(starts_ns) FROM alerts WHERE fingerprint = ? AND status = 'firing'",
                alert.fingerprint,
            )
            starts_ns = (known and known[0]) or now_ns
        within_ns = TOLD_AGAIN_WITHIN_NS
        if alert.level is Level.HEARTBEAT:
            within_ns = heartbeat.WITHIN_NS
        expires_ns = alert.expires_ns or now_ns + within_ns
        return replace(alert, starts_ns=starts_ns, expires_ns=expires_ns)

    def unsent(self) -> list[Unsent]:
        """Return what has to be told, most urgent first, the oldest first; not all if very much."""
        rows = self._database.all(
            "SELECT c.id, c.level, c.document, c.taken_ns, i.key, i.service, i.opened_ns,"
            " i.level, i.told, i.woken, EXISTS (SELECT 1 FROM alerts a WHERE a.incident = i.key"
            " AND a.status = 'firing') FROM changes c JOIN incidents i ON i.key = c.incident"
            " WHERE c.message IS NULL AND c.level <= ? ORDER BY c.level, c.id LIMIT ?",
            Level.P1,
            MOST_CHANGES * 4,
        )
        return [_unsent(row) for row in rows]

    def quiet(self, before_ns: int) -> list[Change]:
        """Return the P2 changes that were taken before a time and that no digest told."""
        rows = self._database.all(
            "SELECT id, document, taken_ns FROM changes"
            " WHERE message IS NULL AND level = ? AND taken_ns < ? ORDER BY id",
            Level.P2,
            before_ns,
        )
        return [_change(*row) for row in rows]

    def freeze(self, batch: Batch, now_ns: int) -> Frozen:
        """Make a message of some changes durable: from now on it is sent until it is there."""
        with self._database.transaction():
            cursor = self._database.execute(
                "INSERT INTO messages(request_id, level, body, state, frozen_ns)"
                " VALUES (?, ?, ?, ?, ?)",
                (batch.request_id, batch.level, batch.body, _WAITING, now_ns),
            )
            number = int(cursor.lastrowid or 0)
            self._database.executemany(
                "UPDATE changes SET message = ? WHERE id = ? AND message IS NULL",
                [(number, change) for change in batch.changes],
            )
            self._database.executemany(
                "UPDATE findings SET message = ? WHERE incident = ? AND message IS NULL",
                [(number, key) for key in batch.explained],
            )
            self._database.executemany(
                "UPDATE incidents SET told = told + 1, woken = woken OR ? WHERE key = ?",
                [(batch.level is Level.P0, key) for key in batch.incidents],
            )
        return Frozen(number, batch.request_id, batch.body, batch.level, 0)

    def waiting(self) -> Frozen | None:
        """Return the most urgent message that is frozen and not in the room."""
        row = self._database.one(
            "SELECT id, request_id, body, level, attempts FROM messages"
            " WHERE state = 'waiting' ORDER BY level, id LIMIT 1"
        )
        return Frozen(row[0], row[1], row[2], Level(row[3]), row[4]) if row else None

    def reword(self, message: Frozen, body: str, reason: str) -> None:
        """Put another body in place of one that the room refused, under an id of its own."""
        with self._database.transaction():
            self._database.execute(
                "UPDATE messages SET body = ?, request_id = ?, reason = ?, attempts = attempts + 1"
                " WHERE id = ?",
                (body, f"{message.request_id}-text", reason, message.id),
            )

    def failed(self, message: Frozen, reason: str) -> None:
        """Note that a message did not reach the room this time."""
        self._told(message, _WAITING, reason, None)

    def delivered(self, message: Frozen, now_ns: int) -> None:
        """Note that a message is in the room."""
        self._told(message, _DELIVERED, "", now_ns)

    def dead(self, message: Frozen, reason: str, now_ns: int) -> None:
        """Note that a message will never reach the room, and why."""
        self._told(message, _DEAD, reason, now_ns)

    def _told(self, message: Frozen, state: str, reason: str, ended_ns: int | None) -> None:
        with self._database.transaction():
            self._database.execute(
                "UPDATE messages SET state = ?, reason = ?, ended_ns = ?, attempts = attempts + 1"
                " WHERE id = ?",
                (state, reason, ended_ns, message.id),
            )

    def backlog(self, now_ns: int) -> dict[Level, Backlog]:
        """Return what is not in the room yet, by level."""
        rows = self._database.all(
            "SELECT c.level, count(*), min(c.taken_ns) FROM changes c LEFT JOIN messages m"
            " ON m.id = c.message WHERE c.message IS NULL OR m.state = 'waiting'"
            " GROUP BY c.level"
        )
        return {
            Level(level): Backlog(number, max(0.0, (now_ns - taken_ns) / 1e9))
            for level, number, taken_ns in rows
        }

    def states(self) -> dict[str, int]:
        """Return how many messages are in each state."""
        rows = self._database.all("SELECT state, count(*) FROM messages GROUP BY state")
        return dict.fromkeys((_WAITING, _DELIVERED, _DEAD), 0) | {row[0]: row[1] for row in rows}

    def history(self, most: int) -> list[Message]:
        """Return the last messages, the newest first."""
        rows = self._database.all(
            "SELECT level, state, attempts, frozen_ns, ended_ns, reason, body FROM messages"
            " ORDER BY id DESC LIMIT ?",
            most,
        )
        return [Message(Level(row[0]), *row[1:]) for row in rows]


def _unsent(row: tuple[Any, ...]) -> Unsent:
    number, level, document, taken_ns, key, service, opened_ns, worst, told, woken, live = row
    return Unsent(
        change=_change(number, document, taken_ns),
        level=Level(level),
        incident=key,
        service=service,
        opened_ns=opened_ns,
        incident_level=Level(worst),
        told=told,
        woken=bool(woken),
        live=bool(live),
    )


def _change(number: int, document: str, taken_ns: int) -> Change:
    return Change(number, Alert(**json.loads(document)), taken_ns)
