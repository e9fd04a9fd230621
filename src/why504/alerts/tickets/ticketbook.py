"""The part of the ledger that knows tickets: which incident has one, and what it says already.

A note is frozen before it is sent first, and sent again with the same text and mark until the
tracker has it: whatever is killed in between, there is one ticket, and each comment once.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Final

from why504.alerts.alert import Alert, Level
from why504.alerts.kept.database import Database
from why504.alerts.kept.message import Change
from why504.alerts.rooms.finding import Finding
from why504.alerts.tickets.port import Note, Ticket

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS tickets(
    incident TEXT PRIMARY KEY, state TEXT NOT NULL, tracker TEXT NOT NULL DEFAULT '',
    ref TEXT NOT NULL DEFAULT '', url TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '',
    told INTEGER NOT NULL, caused INTEGER NOT NULL, over INTEGER NOT NULL,
    noted_ns INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tickets_open ON tickets(tracker) WHERE state = 'open';
CREATE TABLE IF NOT EXISTS ticket_notes(
    id INTEGER PRIMARY KEY, incident TEXT NOT NULL, document TEXT NOT NULL, state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, tried_ns INTEGER, reason TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS ticket_notes_waiting ON ticket_notes(incident) WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS changes_of_incident ON changes(incident, id);
CREATE INDEX IF NOT EXISTS changes_for_tickets ON changes(taken_ns) WHERE level = 1;
"""
APART_NS: Final = 60 * 10**9
"""What comes within a minute of a comment goes into the next one."""
WITHIN_NS: Final = 24 * 3600 * 10**9
"""Whoever sets up a tracker gets no tickets of last month."""
_MOST: Final = 400
"""So many changes are told in one note at most."""


@dataclass(frozen=True, slots=True)
class News:
    """What the ticket of an incident does not say yet."""

    incident: str
    service: str
    level: Level
    opened_ns: int
    live: bool
    """Whether anything of the incident still fires."""
    first: bool
    """Whether there is no ticket yet."""
    changes: list[Change]
    finding: Finding | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A note that is on disk, and not in the tracker as far as we know."""

    id: int
    incident: str
    ref: str
    """Of the ticket; empty where this note opens it."""
    note: Note


class TicketBook:
    """Tickets and their notes; a ticket is `due`, `open`, `over` or `dead`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def news(self, tracker: str, now_ns: int) -> list[News]:
        """Return what has to be told now: an incident that had a P1, or a ticket out of date."""
        fresh = self._database.all(
            "SELECT DISTINCT incident, 0, 0, 1 FROM changes c WHERE level = 1 AND taken_ns >= ?"
            " AND NOT EXISTS (SELECT 1 FROM tickets t WHERE t.incident = c.incident) LIMIT 100",
            now_ns - WITHIN_NS,
        )
        stale = self._database.all(
            "SELECT incident, told, caused, 0 FROM tickets t WHERE state = 'open' AND tracker = ?"
            " AND NOT over AND abs(? - noted_ns) >= ?"
            " AND NOT EXISTS (SELECT 1 FROM ticket_notes n"
            " WHERE n.incident = t.incident AND n.state = 'waiting')"
            " AND (EXISTS (SELECT 1 FROM changes c WHERE c.incident = t.incident AND c.id > told)"
            " OR NOT EXISTS (SELECT 1 FROM alerts a"
            " WHERE a.incident = t.incident AND a.status = 'firing')"
            " OR NOT caused AND EXISTS (SELECT 1 FROM findings f WHERE f.incident = t.incident))"
            " LIMIT 100",
            tracker,
            now_ns,
            APART_NS,
        )
        return [self._news(*row) for row in (*fresh, *stale)]

    def _news(self, incident: str, told: int, caused: int, first: int) -> News:
        # First whether it goes on: an end that comes meanwhile is then told, and over next time.
        ((service, level, opened_ns, live),) = self._database.all(
            "SELECT service, level, opened_ns, EXISTS (SELECT 1 FROM alerts a"
            " WHERE a.incident = key AND a.status = 'firing') FROM incidents WHERE key = ?",
            incident,
        )
        changes = self._database.all(
            "SELECT id, document, taken_ns FROM changes WHERE incident = ? AND id > ?"
            " ORDER BY id LIMIT ?",
            incident,
            told,
            _MOST,
        )
        found = None if caused else self._database.one(
            "SELECT document FROM findings WHERE incident = ?", incident
        )  # fmt: skip
        return News(
            incident=incident,
            service=service,
            level=Level(level),
            opened_ns=opened_ns,
            live=bool(live) or len(changes) == _MOST,
            first=bool(first),
            changes=[
                Change(number, Alert(**json.loads(document)), taken_ns)
                for number, document, taken_ns in changes
            ],
            finding=Finding(**json.loads(found[0])) if found else None,
        )

    def freeze(self, news: News, note: Note, now_ns: int) -> None:
        """Make a note of some news durable: from now on it is sent until it is there."""
        told = max((change.id for change in news.changes), default=0)
        with self._database.transaction():
            self._database.execute(
                "INSERT INTO tickets(incident, state, told, caused, over, noted_ns)"
                " VALUES (?, 'due', ?, ?, ?, ?) ON CONFLICT(incident) DO UPDATE SET"
                " told = max(told, excluded.told), caused = max(caused, excluded.caused),"
                " over = excluded.over, noted_ns = excluded.noted_ns",
                (news.incident, told, news.finding is not None, not news.live, now_ns),
            )
            self._database.execute(
                "INSERT INTO ticket_notes(incident, document, state) VALUES (?, ?, 'waiting')",
                (news.incident, json.dumps(asdict(note))),
            )

    def waiting(self, tracker: str, now_ns: int, settles_ns: int) -> Waiting | None:
        """Return the note to send next; those that open a ticket first.

        Args:
            settles_ns: what was tried has to rest for so long: only then a look tells its outcome.
        """
        row = self._database.one(
            "SELECT n.id, n.incident, t.ref, n.document FROM ticket_notes n"
            " JOIN tickets t ON t.incident = n.incident WHERE n.state = 'waiting'"
            " AND (t.state = 'due' OR t.tracker = ?)"
            " AND (n.tried_ns IS NULL OR abs(? - n.tried_ns) >= ?)"
            " ORDER BY t.state = 'due' DESC, n.id LIMIT 1",
            tracker,
            now_ns,
            settles_ns,
        )
        return Waiting(row[0], row[1], row[2], Note(**json.loads(row[3]))) if row else None

    def trying(self, waiting: Waiting, now_ns: int) -> None:
        """Note that a note is about to be sent: whoever is killed now can't tell whether it was."""
        with self._database.transaction():
            self._database.execute(
                "UPDATE ticket_notes SET attempts = attempts + 1, tried_ns = ? WHERE id = ?",
                (now_ns, waiting.id),
            )

    def opened(self, waiting: Waiting, tracker: str, ticket: Ticket, now_ns: int) -> None:
        """Note that there is a ticket."""
        with self._database.transaction():
            self._database.execute(
                "UPDATE tickets SET tracker = ?, ref = ?, url = ? WHERE incident = ?",
                (tracker, ticket.ref, ticket.url, waiting.incident),
            )
            self._told(waiting, now_ns)

    def commented(self, waiting: Waiting, now_ns: int) -> None:
        """Note that a comment is on its ticket."""
        with self._database.transaction():
            self._told(waiting, now_ns)

    def _told(self, waiting: Waiting, now_ns: int) -> None:
        self._database.execute(
            "UPDATE ticket_notes SET state = 'there', reason = '' WHERE id = ?", (waiting.id,)
        )
        self._database.execute(
            "UPDATE tickets SET state = iif(over, 'over', 'open'), noted_ns = ? WHERE incident = ?",
            (now_ns, waiting.incident),
        )

    def failed(self, waiting: Waiting, reason: str) -> None:
        """Note why a note is not in the tracker yet."""
        with self._database.transaction():
            self._database.execute(
                "UPDATE ticket_notes SET reason = ? WHERE id = ?", (reason, waiting.id)
            )

    def dead(self, waiting: Waiting, reason: str) -> None:
        """Note that nothing more will be told to a ticket, and why."""
        with self._database.transaction():
            self._database.execute(
                "UPDATE ticket_notes SET state = 'dead', reason = ? WHERE id = ?",
                (reason, waiting.id),
            )
            self._database.execute(
                "UPDATE tickets SET state = 'dead', reason = ? WHERE incident = ?",
                (reason, waiting.incident),
            )

    def urls(self, incidents: Collection[str]) -> dict[str, str]:
        """Return where the tickets of some incidents are read, of those that have such a one."""
        rows = self._database.all(
            "SELECT incident, url FROM tickets WHERE url != '' AND incident IN"
            " (SELECT value FROM json_each(?))",
            json.dumps(list(incidents)),
        )
        return dict(rows)
