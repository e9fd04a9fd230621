"""The cause of a P0: in its first card if it is known soon, else in the first reply; told once."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from alerts_by_hand import Router, alert

from why504.alerts.finding import Finding, LiveView

FOUND = Finding(
    cause="F1",
    title="Broker unreachable, frozen or blocked",
    sentence="calls to the message broker take up to 41 s <at> publisher.py:48",
    chain=["212 x 504", "waiting for a connection of pool main", "broker rabbitmq"],
    incident_id="abc",
    trace_id="9f3c",
    services=["shop", *(f"shop-{n}" for n in range(50))],
)


class Slow:
    """Knows the answer when it is asked late enough."""

    def __init__(self, knows_at_s: float) -> None:
        self.router: Router | None = None
        self.asked = 0
        self._knows_at_s = knows_at_s

    def explain(self) -> Finding | None:
        self.asked += 1
        passed_s = self.router.clock.monotonic_s() - 1000.0
        return FOUND if passed_s >= self._knows_at_s else None


def routed(tmp_path, knows_at_s: float) -> Router:
    explainer = Slow(knows_at_s)
    explainer.router = router = Router(tmp_path, explainer)
    return router


def said(message) -> str:
    return json.dumps(message, ensure_ascii=False)


def test_a_cause_that_is_known_at_once_is_in_the_first_card(tmp_path):
    router = routed(tmp_path, knows_at_s=0)
    router.take(alert())
    router.run(60)

    (message,) = router.room.messages
    assert "Cause · F1 Broker unreachable" in said(message)
    assert "&lt;at&gt; publisher.py:48" in said(message)
    assert "212 x 504<br>↳ waiting for a connection of pool main<br>↳ broker rabbitmq" in said(
        message
    )


def test_a_cause_that_comes_later_is_a_reply_that_mentions_nobody(tmp_path):
    router = routed(tmp_path, knows_at_s=20)
    router.take(alert())
    router.run(4)
    assert len(router.room.messages) == 1

    router.run(60)
    first, reply = router.room.messages
    assert "F1" not in said(first)
    assert reply["text"] == "P0 · Cause F1 shop"
    assert reply["thread"] == first["thread"]


def test_in_a_storm_the_cause_is_told_once(tmp_path):
    router = routed(tmp_path, knows_at_s=20)
    router.take(*(alert(service=f"shop-{n}") for n in range(50)))
    router.run(120)

    said_why = [m for m in router.room.messages if "Cause" in m["text"]]
    assert len(said_why) == 1


def test_a_cause_is_not_told_of_a_service_whose_requests_do_not_hang(tmp_path):
    router = routed(tmp_path, knows_at_s=0)
    router.take(alert("AlertingSilent", service="alerting"), alert("RabbitMQDown", service="mq"))
    router.run(60)

    assert len(router.room.messages) == 2
    assert not any("F1" in said(message) for message in router.room.messages)


def view_of(*services: str, causes: int) -> bytes:
    incident = {
        "id": "i", "count": 3, "victims": [],
        "finding": {"cause": "F1", "title": "t", "sentence": "s", "chain": [{"what": "w"}]},
    }  # fmt: skip
    hanging = [{"service": service} for service in services]
    return json.dumps({"open": hanging, "incidents": [incident] * causes}).encode()


@pytest.mark.parametrize(
    ("services", "causes", "cause"),
    [(("shop",), 1, "F1"), (("shop",), 2, "F1"), (("shop", "mq"), 1, "F1"),
     (("shop", "mq"), 2, None), (("shop",), 0, None)],
)  # fmt: skip
def test_of_several_causes_in_several_services_none_is_told(
    monkeypatch, tmp_path, services, causes, cause
):
    answer = subprocess.CompletedProcess([], 0, stdout=view_of(*services, causes=causes))
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answer)

    finding = LiveView(tmp_path).explain()

    assert (finding and finding.cause) == cause
    assert finding is None or finding.services == sorted(services)


def test_a_card_waits_for_its_cause_for_three_seconds_at_most(tmp_path):
    router = routed(tmp_path, knows_at_s=1e9)
    router.take(alert())
    router.run(2.5)
    assert router.room.messages == []

    router.run(1)
    assert len(router.room.messages) == 1


def test_a_p1_does_not_wait(tmp_path):
    router = routed(tmp_path, knows_at_s=1e9)
    router.take(alert(severity="p1"))
    router.run(0.1)

    assert len(router.room.messages) == 1
    assert router.explainer.asked == 0


def test_what_nobody_can_explain_is_not_asked_for_ever(tmp_path):
    router = routed(tmp_path, knows_at_s=1e9)
    router.take(alert())
    router.run(7200)

    assert 30 <= router.explainer.asked <= 42


def test_a_cause_is_told_once_across_a_restart(tmp_path):
    router = routed(tmp_path, knows_at_s=0)
    router.take(alert())
    router.run(5)
    router.ledger.close()
    router.start()
    router.run(60)

    assert len(router.room.messages) == 1


@pytest.mark.parametrize("printed", ["", "[]", "{}", '{"incidents": [{}]}', "garbage"])
def test_a_view_that_says_nothing_useful_is_no_finding(monkeypatch, tmp_path, printed):
    answer = subprocess.CompletedProcess([], 0, stdout=printed.encode())
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answer)

    assert LiveView(tmp_path).explain() is None


def test_a_view_that_takes_too_long_is_given_up(tmp_path):
    view = LiveView(tmp_path, limit_s=0.3)
    view._command = [sys.executable, "-c", "import time; time.sleep(60)"]

    assert view.explain() is None
