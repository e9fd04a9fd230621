"""The service as it is deployed: a process of uvicorn that is watched by why504."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest

from lab.stack.ports import free_port as find_free_port

pytestmark = pytest.mark.postgres

SUGGEST = "/v1/activities/suggest"
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACED = {"traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01"}


@contextmanager
def served(
    port: int, *options: str, **env: str
) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    argv = [sys.executable, "-m", "uvicorn", "--factory", "service.main:create_app"]
    argv += ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning", *options]
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
        # Asked first: killed at once, a supervisor would leave its workers behind.
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=10)
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


def test_a_body_that_trickles_in_is_answered_at_the_deadline(database_url, free_port):
    limits = {"SERVICE_TIMEOUTS__APPLICATION_S": "0.5", "SERVICE_DATABASE_URL": database_url}
    head = (
        b"POST /v1/conversations/end HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 1000\r\n\r\n"
    )
    answer = b""
    with served(free_port, **limits) as (_, client):
        with socket.create_connection(("127.0.0.1", free_port), timeout=0.1) as slow:
            slow.sendall(head)
            started_s = time.monotonic()
            while b"\r\n\r\n" not in answer and time.monotonic() - started_s < 5:
                slow.sendall(b" ")
                with suppress(TimeoutError):
                    answer += slow.recv(4096)
            took_s = time.monotonic() - started_s
        live = client.get("/v1/livez")

    assert answer.startswith(b"HTTP/1.1 503")
    assert 0.4 < took_s < 2
    assert live.status_code == 200


def test_two_workers_serve_and_each_tells_its_own_metrics(database_url, free_port):
    """The second takes the next port that is free."""
    first = find_free_port()
    env = {"SERVICE_DATABASE_URL": database_url, "WHY504_METRICS_PORT": str(first)}
    told: dict[int, str] = {}

    def both_tell() -> bool:
        for port in range(first, first + 4):
            with suppress(httpx.TransportError):
                told[port] = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=2).text
        return len(told) == 2

    with served(free_port, "--workers", "2", **env) as (_, client):
        until(both_tell)
        found = [client.post(SUGGEST, json={"user_id": "u1"}).status_code for _ in range(10)]

    assert found == [200] * 10
    assert all("service_rate_limit_requests_total" in each for each in told.values())
