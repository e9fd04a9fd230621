"""The router over HTTP: 200 only for what is on disk, and never an answer that loses an alert."""

from __future__ import annotations

import pytest
from alerts_by_hand import Router, at
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry

from why504.alerts.app import create_app
from why504.alerts.metrics import Delivering


@pytest.fixture
def router(tmp_path) -> Router:
    return Router(tmp_path)


def client(router: Router, token: str = "") -> TestClient:
    registry = CollectorRegistry()
    registry.register(Delivering(router.ledger, router.clock))
    app = create_app(router.ledger, router.delivery, registry, router.clock, token=token)
    return TestClient(app)


WEBHOOK = {
    "version": "4",
    "alerts": [{"status": "firing", "labels": {"alertname": "A", "severity": "p0"}}, 7],
}


def test_alertmanagers_webhook_is_taken_and_what_is_broken_in_it_is_told(router):
    answer = client(router).post("/alertmanager", json=WEBHOOK)

    assert answer.status_code == 200
    assert answer.json() == {"taken": 1, "new": 1, "unreadable": ["alert 1: it is no object"]}
    router.run(1)
    assert router.room.texts == ["<users/all> P0 · A"]


def test_a_service_may_raise_an_alert_itself(router):
    body = [{"labels": {"alertname": "CircuitBreakerOpen", "severity": "p0", "service": "shop"}}]

    assert client(router).post("/api/v2/alerts", json=body).status_code == 200
    router.run(1)
    assert router.room.texts == ["<users/all> P0 · CircuitBreakerOpen shop"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b"[" * 100_000])
def test_garbage_is_refused_with_a_reason(router, body):
    answer = client(router).post("/alertmanager", content=body)

    assert answer.status_code == 400
    assert answer.json()["detail"]


def test_a_disk_that_refuses_is_503_so_that_alertmanager_tries_again(router):
    router.ledger._database._connection.execute("PRAGMA query_only = ON")
    answer = client(router).post("/alertmanager", json=WEBHOOK)
    assert answer.status_code == 503

    router.ledger._database._connection.execute("PRAGMA query_only = OFF")
    assert client(router).post("/alertmanager", json=WEBHOOK).json()["new"] == 1


def test_who_has_no_token_may_not_raise_alerts(router):
    guarded = client(router, token="t0ken")

    assert guarded.post("/alertmanager", json=WEBHOOK).status_code == 401
    told = {"authorization": "Bearer t0ken"}
    assert guarded.post("/alertmanager", json=WEBHOOK, headers=told).status_code == 200


def test_metrics_are_there_from_the_start_and_tell_what_waits(router):
    asked = client(router)
    assert 'why504_alerts_taken_total{level="p0"} 0.0' in asked.get("/metrics").text

    asked.post("/alertmanager", json=WEBHOOK)
    router.clock.advance(30)
    said = asked.get("/metrics").text

    assert 'why504_alerts_taken_total{level="p0"} 1.0' in said
    assert 'why504_alerts_undelivered{level="p0"} 1.0' in said
    assert 'why504_alerts_oldest_undelivered_age_seconds{level="p0"} 30.0' in said
    assert 'why504_alerts_messages{room="main",state="delivered"} 0.0' in said


def test_health_tells_that_nothing_reaches_the_room(router):
    asked = client(router)
    assert asked.get("/healthz").status_code == 200

    router.delivery.sender.reach.failure = "chat.googleapis.com answered 500: INTERNAL"
    assert "INTERNAL" in asked.get("/healthz").json()["detail"]
    assert at(0) == router.clock.wall_ns()
