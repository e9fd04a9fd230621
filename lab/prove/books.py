"""The tables after a run, against what clients sent: nothing lost, nothing counted twice.

What should be there is computed from the requests, the stand-in's answers and the rules of the
domain, never from what the service stored.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, LiteralString

import psycopg

from lab.load import STORED
from lab.prove.expected import INITIAL_SCORE, Outcome

TOLERANCE: Final = 1e-6
"""Points are halves, so that sums of them are exact; PostgreSQL may add them in any order."""

_COUNTS: Final[Mapping[str, LiteralString]] = {
    "events": "SELECT count(*) FROM conversation_event",
    "unsent": "SELECT count(*) FROM outbox WHERE sent_at IS NULL AND set_aside IS NULL",
    "set aside": "SELECT count(*) FROM outbox WHERE set_aside IS NOT NULL",
    "messages": "SELECT count(*) FROM outbox",
    "unscored": """
        SELECT count(*) FROM conversation_event AS event WHERE NOT EXISTS (
            SELECT FROM conversation_score AS entry
            WHERE entry.conversation_id = event.conversation_id)
    """,
    "stored twice": """
        SELECT count(*) FROM (
            SELECT FROM conversation_event GROUP BY requested_id HAVING count(*) > 1) AS twice
    """,
    "told twice": """
        SELECT count(*) FROM (
            SELECT FROM outbox GROUP BY payload ->> 'conversation_id' HAVING count(*) > 1) AS twice
    """,
    "scores that are no sum": """
        SELECT count(*) FROM friendship_status AS status
        WHERE abs(score - initial_score - coalesce((
            SELECT sum(points) FROM conversation_score AS entry
            WHERE entry.user_id = status.user_id), 0)) > 1e-6
    """,
    "topics that are no sum": """
        SELECT count(*) FROM friendship_status AS status
        WHERE (SELECT coalesce(sum(value::int), 0) FROM jsonb_each_text(topic_metrics))
           <> (SELECT coalesce(sum(value::int), 0) FROM jsonb_each_text(initial_topic_metrics))
            + (SELECT count(*) FROM conversation_score AS entry
               WHERE entry.user_id = status.user_id)
    """,
}


class Books:
    """Counts of the database of a run; each call is a short transaction of its own."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url

    def count(self, what: str) -> int:
        """Return one of the counts: `events`, `unsent`, `unscored`, …"""
        return int(self.rows(_COUNTS[what])[0][0])

    @property
    def stored(self) -> set[str]:
        """Ids of every conversation that is stored."""
        return {row[0] for row in self.rows("SELECT conversation_id FROM conversation_event")}

    @property
    def drained(self) -> bool:
        """Whether every message was sent and every conversation that has one is scored."""
        return self.count("unsent") == 0 and self.count("unscored") <= STORED

    def rows(self, query: LiteralString) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with psycopg.connect(self._url, application_name="proof") as connection:
            return connection.execute(query).fetchall()

    def give_everybody(self, score: float) -> None:
        """Let every user have begun with this score."""
        with psycopg.connect(self._url, application_name="proof") as connection:
            connection.execute(
                "UPDATE friendship_status SET score = %(it)s, initial_score = %(it)s, level = 3",
                {"it": score},
            )

    def differences(self, expected: Mapping[str, Outcome]) -> Differences:
        """Compare every table with what these conversations should have brought."""
        stored = self.stored
        ledger = {
            row[0]: Outcome(*row[1:])
            for row in self.rows(
                "SELECT conversation_id, user_id, points, topic, emotion, questions, fallback"
                " FROM conversation_score"
            )
        }
        wrong = [each for each in ledger if each in expected and ledger[each] != expected[each]]
        return Differences(
            lost=len(expected.keys() - stored),
            without_effect=len(expected.keys() - ledger.keys()),
            wrong_effect=len(wrong),
            unasked=len(ledger.keys() - expected.keys()),
            wrong_users=self._wrong_users(expected),
        )

    def _wrong_users(self, expected: Mapping[str, Outcome]) -> int:
        points: defaultdict[str, float] = defaultdict(float)
        topics: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for each in expected.values():
            points[each.user_id] += each.points
            topics[each.user_id][each.topic] += 1
        told = self.rows("SELECT user_id, score, topic_metrics FROM friendship_status")
        right = {
            user_id
            for user_id, score, metrics in told
            if user_id in points
            and abs(score - INITIAL_SCORE - points[user_id]) <= TOLERANCE
            and metrics == topics[user_id]
        }
        return len(points.keys() - right)


@dataclass(frozen=True, slots=True)
class Differences:
    """How many conversations, and users, are not as they should be."""

    lost: int
    without_effect: int
    wrong_effect: int
    unasked: int
    """Ledger entries of conversations that nobody was told to have succeeded."""
    wrong_users: int
    """Of those who had a conversation: score or topics are not what it must be."""


def wait_until(done: Callable[[], bool], *, timeout_s: float, every_s: float = 1.0) -> bool:
    """Ask until it is so or the time is over; return whether it is so."""
    deadline_s = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(every_s)
    return True
