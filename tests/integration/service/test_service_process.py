"""The service as it is deployed: a process of uvicorn that is watched by why504."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

pytestmark = pytest.mark.postgres

SUGGEST = "/v1/activities/suggest"
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACED = {"traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01"}


@contextmanager
def served(port: int, **env: str) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    argv = [sys.executable, "-m", "uvicorn", "--factory", "service.main:create_app"]
    argv += ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    path = {"PYTHONPATH": os.pathsep.join(["src", "."])}
    quiet = {"WHY504_METRICS_PORT": "-1", "WHY504_ENDPOINT": "http://127.0.0.1:9"}
    process = subprocess.Popen(
        argv, env={**os.environ, **path, **quiet, **env}, stdout=subprocess.PIPE, text=True
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            until(lambda: client.get("/v1/livez").is_success)
            yield process, client
    finally:
        process.kill()
        process.communicate(timeout=10)


def until(ready: Callable[[], bool]) -> None:
    for _ in range(300):
        try:
            if ready():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail("the service did not start")


def test_a_watched_process_serves_tells_trace_ids_and_ends_when_asked(database_url, free_port):
    with served(free_port, SERVICE_DATABASE_URL=database_url) as (process, client):
        found = client.post(SUGGEST, json={"user_id": "u1"}, headers=TRACED)
        refused = client.post(SUGGEST, json={}, headers=TRACED)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=20)

    assert found.status_code == 200
    assert refused.json()["trace_id"] == TRACE_ID
    lines = [json.loads(line) for line in out.splitlines()]
    told = [(line["route"], line["status"]) for line in lines if line["trace_id"] == TRACE_ID]
    assert told == [(SUGGEST, 200), (SUGGEST, 422)]


def test_a_frozen_database_is_answered_at_the_deadline(database_url, free_port, postgres):
    """The driver needs seconds to notice that its statement can't even be cancelled."""
    limits = {"SERVICE_TIMEOUTS__APPLICATION_S": "0.5", "SERVICE_DATABASE_URL": database_url}
    with served(free_port, **limits) as (_, client):
        client.post(SUGGEST, json={"user_id": "u1"})
        postgres.process.freeze()
        try:
            started_s = time.monotonic()
            answer = client.post(SUGGEST, json={"user_id": "u1"}, headers=TRACED)
            took_s = time.monotonic() - started_s
            live = client.get("/v1/livez")
        finally:
            postgres.process.thaw()

    assert (answer.status_code, answer.json()["trace_id"]) == (503, TRACE_ID)
    assert 0.4 < took_s < 3
    assert live.status_code == 200
