"""What people say goes to the database, to Groq and, redacted, to Langfuse: and nowhere else.

Secrets are planted in a conversation, every path is walked on the real process, and then every
place that anything of it can reach is searched.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg
import pytest

from lab.stack.groq import Groq
from lab.stack.langfuse import Langfuse
from lab.stack.ports import free_port
from service.infrastructure.db.migrations import migrate
from tests.otlp_receiver import Receiver

pytestmark = pytest.mark.postgres

MARKER = "the lighthouse keeper wept over marmalade"
"""Private by its meaning: no pattern knows it."""
SECRETS = ("ann.lee@example.org", "4111 1111 1111 1111", "gsk_aB3dE5fG7hI9jK1lM3nO5pQ7")
TALK = f"Hi, {MARKER}. Mail {SECRETS[0]}, card {SECRETS[1]}, key {SECRETS[2]}. So sad?"
SCORE = "/v1/friendship_status/calculate-score"


def body(conversation_id: str, **changes: object) -> dict[str, object]:
    log = [{"speaker": "user", "text": TALK}, {"speaker": "companion", "text": "Oh?"}]
    return {"conversation_id": conversation_id, "user_id": "u1", "log": log, **changes}


@dataclass
class Sinks:
    """Everything that left the process, by the place that it reached."""

    texts: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, text: str) -> None:
        self.texts[name] = self.texts.get(name, "") + text

    def that_hold(self, needle: str) -> list[str]:
        return sorted(name for name, text in self.texts.items() if needle in text)


@dataclass
class World:
    """The service as a process, with real neighbours."""

    client: httpx.Client
    metrics_url: str
    database_url: str
    groq: Groq
    sinks: Sinks

    def post(self, path: str, **given: object) -> httpx.Response:
        answer = self.client.post(path, **given)
        self.sinks.add("answers", f"{answer.headers} {answer.text}")
        return answer

    def look(self) -> None:
        for path in ("/metrics", "/debug/requests"):
            self.sinks.add(path, httpx.get(self.metrics_url + path, trust_env=False).text)

    def sql(self, statement: str) -> None:
        with psycopg.connect(self.database_url) as connection:
            connection.execute(statement)  # type: ignore[arg-type]


@contextmanager
def searched(postgres, tmp_path) -> Iterator[World]:
    """Run the service; when the block is left, end it and search what it left behind."""
    database_url = postgres.new_database()
    migrate(database_url)
    port, metrics_port, receiver = free_port(), free_port(), Receiver(free_port())
    sinks = Sinks()
    out = tmp_path / "service.out"
    with Groq.start(tmp_path) as groq, Langfuse.start(tmp_path) as langfuse:
        env = {
            "PYTHONPATH": os.pathsep.join(["src", "."]),
            "PYTHONUNBUFFERED": "1",
            "SERVICE_DATABASE_URL": database_url,
            "SERVICE_GROQ_BASE_URL": groq.url,
            "SERVICE_LLM_ATTEMPTS": "1",
            "SERVICE_BREAKER_FAILURES": "100",
            "LANGFUSE_BASE_URL": langfuse.url,
            "LANGFUSE_PUBLIC_KEY": f"pk-{uuid.uuid4()}",
            "LANGFUSE_SECRET_KEY": "sk-secret",
            "LANGFUSE_DEBUG": "true",
            "GROQ_LOG": "debug",
            "WHY504_ENDPOINT": f"http://127.0.0.1:{receiver.port}",
            "WHY504_METRICS_PORT": str(metrics_port),
            "WHY504_SNAPSHOT_AFTER_S": "0.2",
        }
        argv = [sys.executable, "-m", "uvicorn", "--factory", "service.main:create_app"]
        argv += ["--host", "127.0.0.1", "--port", str(port)]
        with (
            out.open("wb") as file,
            subprocess.Popen(argv, env={**os.environ, **env}, stdout=file, stderr=file) as process,
        ):
            try:
                with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                    until_live(client)
                    yield World(
                        client, f"http://127.0.0.1:{metrics_port}", database_url, groq, sinks
                    )
                # What is lost at a process's end is the matter of other tests.
                until_told(receiver)
                process.send_signal(signal.SIGTERM)
                process.wait(20)
            finally:
                process.kill()
                receiver.stop()
                sinks.add("output", Path(out).read_text())
                sinks.add("otlp", "".join(str(span) for span in receiver.spans))
                sinks.add("langfuse", str(langfuse.seen()))
    judge(sinks)


def until_live(client: httpx.Client) -> None:
    for _ in range(300):
        try:
            if client.get("/v1/livez").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail("the service did not start")


def until_told(receiver: Receiver) -> None:
    """Wait until the span of an LLM call has arrived, at most ten seconds; `judge` wants one."""
    for _ in range(100):
        told = [pair.key for span in list(receiver.spans) for pair in span.attributes]
        if "gen_ai.request.model" in told:
            return
        time.sleep(0.1)


def judge(sinks: Sinks) -> None:
    """Search the sinks, after having made sure that each of them was written to."""
    assert set(sinks.texts) >= {"answers", "output", "otlp", "langfuse", "/metrics"}
    assert all(sinks.texts.values())
    assert "gen_ai.request.model" in sinks.texts["otlp"]
    assert "/v1/conversations/end" in sinks.texts["output"]
    assert "llm_fallbacks_total" in sinks.texts["/metrics"]
    assert sinks.that_hold(MARKER) == ["langfuse"]
    assert "[email]" in sinks.texts["langfuse"]
    for secret in SECRETS:
        assert sinks.that_hold(secret) == []


def test_what_people_say_reaches_no_log_no_trace_no_metric_and_no_error(postgres, tmp_path):
    with searched(postgres, tmp_path) as world:
        assert world.post("/v1/conversations/end", json=body("c1")).is_success
        world.post("/v1/conversations/end", json=body("c1", user_id="u2"))
        world.post("/v1/activities/suggest", json={"user_id": "u1"})
        assert world.post(f"{SCORE}/c1").json()["emotion"] == "sadness"
        world.post(f"{SCORE}-and-update/c1")

        for behaviour in ({"status": 400}, {"status": 500}, {"limited": True}):
            world.groq.behave(**{"status": None, "limited": False, "echo": True, **behaviour})
            assert world.post(f"{SCORE}/c1").json()["fallback"] is True
        world.groq.behave(status=None, limited=False, content=f"{TALK} I can't say.")
        world.post(f"{SCORE}/c1")

        # Long enough for snapshots of open spans, with the stack of their task.
        world.groq.behave(content=None, delay_s=1.0)
        slow = threading.Thread(target=world.post, args=(f"{SCORE}/c1",))
        slow.start()
        time.sleep(0.6)
        world.look()
        slow.join()

        for wrong in (
            {"json": body("c2", log=[{"speaker": TALK, "text": TALK}])},
            {"json": body("c2", log=TALK)},
            {"content": f'{{"log": "{TALK}'.encode()},
        ):
            assert world.post("/v1/conversations/end", **wrong).status_code == 422
        world.post(f"{SCORE}/unknown")
        world.look()


def test_not_even_an_error_of_the_database_tells_what_it_was_given(postgres, tmp_path):
    """PostgreSQL quotes the whole row in the DETAIL of a constraint that fails."""
    with searched(postgres, tmp_path) as world:
        assert world.post("/v1/conversations/end", json=body("c1")).is_success
        world.groq.behave(status=500)
        world.post(f"{SCORE}/c1")
        world.groq.behave(status=None)
        world.post(f"{SCORE}/c1")
        world.sql("ALTER TABLE conversation_event ADD CONSTRAINT refused CHECK (false) NOT VALID")

        answer = world.post("/v1/conversations/end", json=body("c9"))

        world.look()
        assert answer.status_code in (500, 503)
