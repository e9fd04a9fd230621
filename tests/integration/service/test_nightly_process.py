"""The nightly job as a process of its own on a real PostgreSQL: killed, doubled, told to stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import psycopg
import pytest
from psycopg.types.json import Jsonb

from service.infrastructure.db.migrations import migrate

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[3]
NIGHT = date(2026, 11, 23)
USERS = 150
STATUSES = "SELECT user_id, score, level, topic_metrics FROM friendship_status ORDER BY user_id"
LEDGER = (
    "SELECT conversation_id, points, topic, emotion, questions, fallback "
    "FROM conversation_score ORDER BY conversation_id"
)
RUN = "SELECT users_done, users_failed, users_total, finished_at IS NOT NULL FROM nightly_run"


class Llm(BaseHTTPRequestHandler):
    """Says the same of every session."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        prompt = self.rfile.read(int(self.headers["Content-Length"])).decode()
        said = "joy" if "emotion" in prompt else "2"
        choice = {
            "index": 0,
            "finish_reason": "stop",
            "logprobs": None,
            "message": {"role": "assistant", "content": said},
        }
        body = json.dumps(
            {
                "id": "x",
                "object": "chat.completion",
                "created": 1,
                "model": "m",
                "choices": [choice],
                "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
            }
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture(scope="module")
def llm_url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Llm) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join(10)


def fill(url: str) -> None:
    """Store users: some with an unread session, some with a fallback, some with a false score."""
    log = Jsonb([{"speaker": "user", "text": "I love music"}])
    at = datetime(2026, 11, 23, tzinfo=UTC)
    with psycopg.connect(url) as connection:
        for number in range(USERS):
            user_id = f"u{number:04d}"
            if number % 3:
                connection.execute(
                    "INSERT INTO conversation_event "
                    "(conversation_id, requested_id, user_id, log, body_hash, ended_at) "
                    "VALUES (%s, %s, %s, %s, 'h', %s)",
                    (f"c{number}", f"c{number}", user_id, log, at),
                )
            if number % 3 == 2:
                connection.execute(
                    "INSERT INTO conversation_score (conversation_id, user_id, points, topic, "
                    "emotion, questions, fallback) VALUES (%s, %s, 0, 'music', 'neutral', 0, true)",
                    (f"c{number}", user_id),
                )
            if number % 3 != 1:
                connection.execute(
                    "INSERT INTO friendship_status (user_id, score, level) VALUES (%s, 777, 1)",
                    (user_id,),
                )


@pytest.fixture
def new_database(postgres) -> str:
    url = postgres.new_database()
    migrate(url)
    fill(url)
    return url


@contextmanager
def nightly(url: str, llm_url: str, **settings: str) -> Iterator[subprocess.Popen[str]]:
    environment = {
        **os.environ,
        "SERVICE_DATABASE_URL": url,
        "SERVICE_GROQ_BASE_URL": llm_url,
        "SERVICE_METRICS_PORT": "-1",
        "SERVICE_NIGHTLY_USERS_PER_S": "5000",
        **settings,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "service.nightly", "--night", NIGHT.isoformat()],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=10)


def table(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()  # type: ignore[arg-type]


def wait_for_ledger(url: str, entries: int) -> None:
    query = "SELECT count(*) FROM conversation_score WHERE NOT fallback"
    for _ in range(600):
        if int(str(table(url, query)[0][0])) >= entries:
            return
        time.sleep(0.05)
    pytest.fail("the job did not come this far")


def test_a_job_that_is_killed_and_started_again_ends_like_one_that_was_not(
    postgres, new_database, llm_url
):
    undisturbed = postgres.new_database()
    migrate(undisturbed)
    fill(undisturbed)
    with nightly(undisturbed, llm_url) as process:
        assert process.wait(60) == 0

    with nightly(new_database, llm_url, SERVICE_NIGHTLY_USERS_PER_S="100") as process:
        # Behind the first page of users, and inside the second.
        wait_for_ledger(new_database, 75)
        process.kill()
        assert process.wait(10) == -signal.SIGKILL
    with nightly(new_database, llm_url) as process:
        assert process.wait(60) == 0

    assert table(new_database, STATUSES) == table(undisturbed, STATUSES)
    assert table(new_database, LEDGER) == table(undisturbed, LEDGER)
    assert table(new_database, RUN) == table(undisturbed, RUN) == [(USERS, 0, USERS, True)]
    assert {score for _, score, *_ in table(undisturbed, STATUSES)} == {0.0, 13.5}


def test_a_second_job_ends_at_once_and_sigterm_ends_the_first_behind_the_users_under_way(
    new_database, llm_url
):
    with nightly(new_database, llm_url, SERVICE_NIGHTLY_USERS_PER_S="5") as process:
        wait_for_ledger(new_database, 2)
        with nightly(new_database, llm_url) as second:
            said, _ = second.communicate(timeout=30)
        assert second.returncode == 3
        assert "another_runs" in said
        assert process.poll() is None
        process.terminate()
        assert process.wait(10) == 4

    [(done, failed, total, finished)] = table(new_database, RUN)
    assert 2 <= int(str(done)) < USERS
    assert (failed, total, finished) == (0, USERS, False)
    with nightly(new_database, llm_url) as process:
        assert process.wait(60) == 0
    assert table(new_database, RUN) == [(USERS, 0, USERS, True)]


def test_a_job_without_a_database_ends_with_a_code_of_its_own(free_port, llm_url):
    with nightly(f"postgresql://127.0.0.1:{free_port}/none", llm_url) as process:
        said, _ = process.communicate(timeout=30)

    assert process.returncode == 1
    assert "nightly_unavailable" in said
