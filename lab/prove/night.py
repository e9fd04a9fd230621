"""The nightly job as cron starts it, with a stand-in for the LLM of its own that counts for it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from lab.load import conversation
from lab.prove.books import Books
from lab.prove.deployment import Service
from lab.prove.expected import INITIAL_SCORE
from lab.stack.groq import Groq
from lab.stack.ports import free_port
from lab.stack.process import Process, Program, start

FIRST: Final = 30_000_000
"""Numbers of the night's conversations start here; those of other loads are below."""
CONCURRENCY: Final = 8
LLM_S: Final = 0.1


@dataclass(slots=True)
class Night:
    """The job, which may be started several times; its tables and its LLM."""

    service: Service
    groq: Groq
    books: Books
    users_per_s: float

    @classmethod
    def prepare(cls, service: Service, stack: ExitStack, *, users_per_s: float) -> Night:
        """Start the job's own stand-in; the job itself comes with `start`."""
        groq = stack.enter_context(Groq.start(service.folder / "night", delay_s=LLM_S))
        return cls(service, groq, Books(service.database_url), users_per_s)

    def start(self) -> Process:
        """Start the job; it ends by itself when every user is done."""
        own = {
            "OTEL_SERVICE_NAME": "context-handling-nightly",
            "SERVICE_GROQ_BASE_URL": self.groq.url,
            "SERVICE_NIGHTLY_CONCURRENCY": str(CONCURRENCY),
            "SERVICE_NIGHTLY_USERS_PER_S": str(self.users_per_s),
            "SERVICE_METRICS_PORT": str(free_port()),
            "WHY504_METRICS_PORT": str(free_port()),
        }
        program = Program(
            [sys.executable, "-m", "service.nightly"],
            "nightly",
            self.service.folder,
            {**self.service.environment, **own},
        )
        return start(program)

    @property
    def done(self) -> tuple[int, int, bool]:
        """How many users are done, how many of them failed, and whether the run is finished."""
        rows = self.books.rows(
            "SELECT users_done, users_failed, finished_at IS NOT NULL FROM nightly_run"
            " ORDER BY night DESC LIMIT 1"
        )
        return rows[0] if rows else (0, 0, False)

    @property
    def scored(self) -> int:
        """How many of the night's conversations have been read."""
        rows = self.books.rows(
            "SELECT count(*) FROM conversation_score"
            " WHERE conversation_id LIKE 'night-%' AND NOT fallback"
        )
        return int(rows[0][0])

    @property
    def llm_calls(self) -> int:
        """How often the job asked the LLM so far."""
        return int(self.groq.seen()["calls"])


def body(number: int) -> dict[str, Any]:
    """Return the conversation of one of the night's users, each of whom has one."""
    return {
        **conversation(FIRST + number),
        "conversation_id": f"night-{number:06d}",
        # Before all others in order of id: the job takes so many users and no more.
        "user_id": f"night-{number:06d}",
    }


def write_users(database_url: str, count: int) -> list[Mapping[str, Any]]:
    """Store users whose one conversation was never read, or (every other) only by a fallback.

    Returns:
        The conversations, as `POST /v1/conversations/end` would have had them.
    """
    bodies: list[Mapping[str, Any]] = [body(number) for number in range(count)]
    with psycopg.connect(database_url, application_name="proof") as connection:
        cursor = connection.cursor()
        with cursor.copy(
            "COPY friendship_status (user_id, score, initial_score, level) FROM STDIN"
        ) as rows:
            for each in bodies:
                rows.write_row((each["user_id"], INITIAL_SCORE, INITIAL_SCORE, 3))
        with cursor.copy(
            "COPY conversation_event"
            " (conversation_id, requested_id, user_id, log, body_hash, ended_at) FROM STDIN"
        ) as rows:
            for each in bodies:
                name = each["conversation_id"]
                log = json.dumps(each["log"])
                rows.write_row((name, name, each["user_id"], log, name, each["ended_at"]))
        connection.execute(
            "INSERT INTO conversation_score"
            " (conversation_id, user_id, points, topic, emotion, questions, fallback)"
            " SELECT conversation_id, user_id, 0, 'other', 'neutral', 0, true"
            " FROM conversation_event WHERE conversation_id LIKE 'night-%' AND id % 2 = 0"
        )
        # The ledger says so, and a status is the sum of its ledger.
        connection.execute(
            "UPDATE friendship_status SET topic_metrics = '{\"other\": 1}'"
            " FROM conversation_score AS entry WHERE entry.user_id = friendship_status.user_id"
            " AND entry.conversation_id LIKE 'night-%'"
        )
        connection.commit()
        connection.autocommit = True
        connection.execute("ANALYZE")
    return bodies
