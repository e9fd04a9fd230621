"""What is asked of the table `outbox`, by the relay and by a worker without a broker.

A row is unsent until it has `sent_at`; `set_aside` holds why nobody will ever manage it.
"""

# ruff: noqa: S608 - statements are made of this file's constants only

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A message of the outbox."""

    id: int
    message_id: str
    topic: str
    body: str
    created_at: datetime
    traceparent: str | None
    deliveries: int


_COLUMNS = "id, message_id::text, topic, payload::text AS body, created_at, traceparent, deliveries"
_OPEN = "sent_at IS NULL AND set_aside IS NULL"
_UNCLAIMED = f"{_OPEN} AND (claimed_until IS NULL OR claimed_until < now())"

UNSENT: Final = f"""
SELECT {_COLUMNS} FROM outbox WHERE {_UNCLAIMED}
ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED"""
MARK_SENT: Final = "UPDATE outbox SET sent_at = now() WHERE id = ANY(%(ids)s)"

# Only the oldest rows are looked at: there is no index by time, and the next minute is another.
PRUNE: Final = """
DELETE FROM outbox WHERE sent_at < now() - interval '1 day' AND id IN (
    SELECT id FROM outbox WHERE set_aside IS NULL ORDER BY id LIMIT 5000)"""

# Longer than any queue keeps a message: what comes again after that would take effect again.
PRUNE_INBOX: Final = """
DELETE FROM processed_message WHERE message_id IN (
    SELECT message_id FROM processed_message
    WHERE processed_at < now() - interval '90 days' ORDER BY processed_at LIMIT 5000)"""

# A backlog is counted up to a bound: the answer is wanted most when it is longest.
BACKLOG: Final = f"""
SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)::float
FROM (SELECT created_at FROM outbox WHERE {_OPEN} ORDER BY id LIMIT 100000) AS unsent"""

CLAIM: Final = f"""
UPDATE outbox SET deliveries = deliveries + 1, claimed_until = now() + %(lease)s
WHERE id = (
    SELECT id FROM outbox WHERE {_UNCLAIMED} AND deliveries < %(most)s
    ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING {_COLUMNS}"""
RENEW: Final = (
    f"UPDATE outbox SET claimed_until = now() + %(lease)s WHERE id = ANY(%(ids)s) AND {_OPEN}"
)
DONE: Final = "UPDATE outbox SET sent_at = now(), claimed_until = NULL WHERE id = %(id)s"
GIVE_BACK: Final = f"UPDATE outbox SET claimed_until = NULL WHERE id = %(id)s AND {_OPEN}"
SET_ASIDE: Final = f"UPDATE outbox SET set_aside = %(reason)s WHERE id = %(id)s AND {_OPEN}"
# Rows whose last worker died, or gave them back for the last time.
SET_ASIDE_OVERDUE: Final = f"""
UPDATE outbox SET set_aside = 'delivered too often' WHERE id IN (
    SELECT id FROM outbox WHERE {_UNCLAIMED} AND deliveries >= %(most)s
    ORDER BY id LIMIT 1000 FOR UPDATE SKIP LOCKED)"""
