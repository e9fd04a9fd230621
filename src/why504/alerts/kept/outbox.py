"""Freezes messages: whatever is killed from then on, each is sent until it is there."""

from __future__ import annotations

from why504.alerts.alert import Level
from why504.alerts.kept.database import Database
from why504.alerts.kept.message import NEWS, Batch, Frozen


def put(database: Database, batch: Batch, now_ns: int) -> Frozen:
    """Write a message down, and what it tells; in a transaction.

    Of one incident there is one message of a kind and room, but for news: a second one breaks it.
    """
    cursor = database.execute(
        "INSERT INTO messages(request_id, level, body, state, frozen_ns, room)"
        " VALUES (?, ?, ?, 'waiting', ?, ?)",
        (batch.request_id, batch.level, batch.body, now_ns, batch.room),
    )
    number = int(cursor.lastrowid or 0)
    database.many(
        "WITH told(id) AS (VALUES {}) UPDATE changes SET message = ?"
        " WHERE id IN (SELECT id FROM told) AND message IS NULL",
        [(change,) for change in batch.changes],
        number,
    )
    database.executemany(
        "UPDATE findings SET message = ? WHERE incident = ? AND message IS NULL",
        [(number, key) for key in batch.explained],
    )
    database.executemany(
        "UPDATE aftermaths SET message = ? WHERE incident = ? AND message IS NULL",
        [(number, key) for key in batch.closed],
    )
    if batch.kind == NEWS:
        database.executemany(
            "UPDATE incidents SET told = told + 1, woken = woken OR ? WHERE key = ?",
            [(batch.level is Level.P0, key) for key in batch.incidents],
        )
    else:
        database.executemany(
            "INSERT INTO notices(incident, kind, room, message) VALUES (?, ?, ?, ?)",
            [(key, batch.kind, batch.room, number) for key in batch.incidents],
        )
    return Frozen(number, batch.request_id, batch.body, batch.level, 0)
