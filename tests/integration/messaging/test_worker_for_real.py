"""The worker with its real task: from a conversation in the outbox to a score."""

from __future__ import annotations

import signal

import pytest
from messaging_rig import program, until

pytestmark = [pytest.mark.postgres, pytest.mark.rabbitmq, pytest.mark.slow]


def test_a_conversation_is_scored_by_its_fallback_while_the_llm_is_away(outbox, settings):
    outbox.add(
        payload={
            "event_id": 1,
            "conversation_id": "c1",
            "user_id": "u1",
            "ended_at": "2026-01-02T03:04:05+00:00",
            "transcript": [{"speaker": "user", "text": "hello"}],
        }
    )
    settings = settings.model_copy(update={"broker_url": None, "time_scale": 0.2})
    away = {"SERVICE_GROQ_BASE_URL": "http://127.0.0.1:9", "SERVICE_TIME_SCALE": "0.2"}
    watched = {"SERVICE_INSTRUMENT": "true", "WHY504_ENDPOINT": "http://127.0.0.1:9"}
    with program("service.worker", settings, **away, **watched, WHY504_METRICS_PORT="-1") as worker:
        until(lambda: outbox.unsent() == 0, "the message took effect", 30)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(10) == 0

    assert outbox.run("SELECT user_id, fallback FROM conversation_score") == [("u1", True)]
