"""What was told to us and what we told the room, on disk: SQLite, every commit synced.

An alert is taken when its row and what has to be told about it are committed. A message is frozen
before it is sent first, and sent again with the same bytes and id until the room has it: whatever
is killed in between, the room sees it once.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from why504.alerts.alert import RESOLVED, Alert, Level
from why504.alerts.guard import heartbeat
from why504.alerts.kept.acknowledgements import Acknowledgements
from why504.alerts.kept.booking import Booking
from why504.alerts.kept.causes import Causes
from why504.alerts.kept.database import Database
from why504.alerts.kept.incidents import Incidents
from why504.alerts.kept.keeping import Keeping
from why504.alerts.kept.message import MAIN, Backlog, Batch, Change, Frozen, Message, Unsent
from why504.alerts.kept.notices import Notices
from why504.alerts.kept.outbox import put
from why504.alerts.kept.schema import MIGRATIONS, SCHEMA
from why504.alerts.kept.unsent import read_quiet, read_unsent
from why504.alerts.tickets.ticketbook import SCHEMA as TICKETS
from why504.alerts.tickets.ticketbook import TicketBook
from why504.errors import AlertsUnavailable

MOST_CHANGES: Final = 1_200
"""So many are read at once: as many as a message tells, and some of the next."""
MOST_QUIET: Final = 10_000
"""So many changes are in a digest at most; there is another for more."""
_WAITING, _DELIVERED, _DEAD = "waiting", "delivered", "dead"


class Ledger:
    """One file; for many threads, one transaction at a time."""

    def __init__(self, file: Path) -> None:
        """Open or create the file.

        Raises:
            AlertsUnavailable: the disk refuses, or the file is no ledger.
        """
        self._database = Database(file, SCHEMA + TICKETS, MIGRATIONS)
        self.incidents = Incidents(self._database)
        self.causes = Causes(self._database)
        self.notices = Notices(self._database)
        self.acknowledgements = Acknowledgements(self._database)
        self.keeping = Keeping()
        self.tickets = TicketBook(self._database)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def take(self, alerts: Sequence[Alert], unreadable: Sequence[str], now_ns: int) -> int:
        """Make alerts durable; return how many of them say anything new.

        Raises:
            AlertsUnavailable: none of them was taken.
        """
        try:
            with self._database.transaction():
                self._database.executemany(
                    "INSERT INTO unreadable(reason, taken_ns) VALUES (?, ?)",
                    [(reason, now_ns) for reason in unreadable],
                )
                new = Booking(self._database, self.incidents, now_ns).book(alerts)
        except AlertsUnavailable as error:
            self.keeping.failed(str(error), alerts)
            raise
        self.keeping.succeeded()
        return new

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

    def unsent(self, below: Level = Level.P2) -> list[Unsent]:
        """Return what has to be told next, most urgent first, the oldest first.

        Not all if it is very much: what is over is left out while something as urgent goes on.

        Args:
            below: only what is more urgent than this.
        """
        urgent = self._database.one(
            "SELECT min(level) FROM changes WHERE message IS NULL AND level < ?", below
        )
        unsent = self._unsent(below, live=True)
        if urgent and unsent and unsent[0].level == urgent[0]:
            return unsent
        unsent += self._unsent(below, live=False)
        return sorted(unsent, key=lambda one: (one.level, one.change.id))

    def _unsent(self, below: Level, *, live: bool) -> list[Unsent]:
        return read_unsent(
            self._database,
            "c.message IS NULL AND c.level < ? AND EXISTS (SELECT 1 FROM alerts a WHERE"
            " a.incident = i.key AND a.status = 'firing') = ? ORDER BY c.level, c.id LIMIT ?",
            below,
            live,
            MOST_CHANGES,
        )

    def beats(self, now_ns: int) -> bool:
        """Return whether the heartbeat is heard: that there is one, and that none has stopped."""
        rows = self._database.all(
            "SELECT document, expires_ns FROM alerts WHERE incident = '' AND status = 'firing'"
        )
        ends_ns = [
            expires_ns for document, expires_ns in rows
            if Alert(**json.loads(document)).level is Level.HEARTBEAT
        ]  # fmt: skip
        stopped = self.incidents.burns_since_ns(heartbeat.FINGERPRINT) is not None
        return bool(ends_ns) and min(ends_ns) > now_ns and not stopped

    def quiet(self, before_ns: int) -> list[Change]:
        """Return the P2 changes that were taken before a time and that no digest told."""
        return read_quiet(self._database, before_ns, MOST_QUIET)

    def freeze(self, batch: Batch, now_ns: int) -> Frozen:
        """Make a message of some changes durable: from now on it is sent until it is there."""
        with self._database.transaction():
            return put(self._database, batch, now_ns)

    def waiting(self, room: str = MAIN) -> Frozen | None:
        """Return the most urgent message that is frozen and not in its room."""
        row = self._database.one(
            "SELECT id, request_id, body, level, attempts FROM messages"
            " WHERE state = 'waiting' AND room = ? ORDER BY level, id LIMIT 1",
            room,
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

    def states(self, room: str = MAIN) -> dict[str, int]:
        """Return how many messages for a room are in each state."""
        rows = self._database.all(
            "SELECT state, count(*) FROM messages WHERE room = ? GROUP BY state", room
        )
        return dict.fromkeys((_WAITING, _DELIVERED, _DEAD), 0) | {row[0]: row[1] for row in rows}

    def history(self, most: int) -> list[Message]:
        """Return the last messages, the newest first."""
        rows = self._database.all(
            "SELECT id, request_id, level, state, attempts, frozen_ns, ended_ns, reason, body, room"
            " FROM messages ORDER BY id DESC LIMIT ?",
            most,
        )
        told = self._told_in(rows[-1][0], rows[0][0]) if rows else {}
        return [Message(row[1], Level(row[2]), told[row[0]], *row[3:]) for row in rows]

    def told_by(self, message: Frozen) -> list[Alert]:
        """Return the alerts that a message tells, as they were."""
        return self._told_in(message.id, message.id)[message.id]

    def _told_in(self, first: int, last: int) -> dict[int, list[Alert]]:
        rows = self._database.all(
            "SELECT message, document FROM changes WHERE message BETWEEN ? AND ? ORDER BY id",
            first,
            last,
        )
        told: dict[int, list[Alert]] = defaultdict(list)
        for message, document in rows:
            told[message].append(Alert(**json.loads(document)))
        return told
