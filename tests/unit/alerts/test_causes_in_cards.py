"""The cause of a P0: in its first card if it is known soon, else in the first reply; told once."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from alerts_by_hand import Router, alert, at

from why504.alerts.rooms.finding import Aftermath, Finding, StoredEvidence

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
        self.asked_about: list[tuple[str, int, int]] = []
        self.did: Aftermath | None = None
        self._knows_at_s = knows_at_s

    def explain(self) -> list[Finding]:
        self.asked += 1
        passed_s = self.router.clock.monotonic_s() - 1000.0
        return [FOUND] if passed_s >= self._knows_at_s else []

    def aftermath(self, service: str, since_ns: int, until_ns: int) -> Aftermath | None:
        self.asked_about.append((service, since_ns, until_ns))
        return self.did


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


def incident(cause: str, count: int, *services: str) -> dict:
    return {
        "id": cause, "count": count,
        "victims": [{"service": one, "trace_id": "t", "stands_for": 2.0} for one in services],
        "finding": {"cause": cause, "title": "t", "sentence": "s", "chain": [{"what": "w"}]},
    }  # fmt: skip


def answers(monkeypatch, document) -> None:
    printed = json.dumps(document).encode()
    answer = subprocess.CompletedProcess([], 0, stdout=printed)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answer)


def test_each_cause_is_of_the_services_of_its_victims(monkeypatch, tmp_path):
    found = [incident("A2b", 3, "shop", "shop", ""), incident("F1", 9, "mq"),
             incident("UNKNOWN", 99, "shop")]  # fmt: skip
    answers(monkeypatch, {"open": [{"service": "other"}], "incidents": found})

    findings = StoredEvidence(tmp_path).explain()

    assert [(one.cause, one.services) for one in findings] == [("F1", ["mq"]), ("A2b", ["shop"])]


def test_victims_that_reached_nobody_are_those_of_whoever_hangs(monkeypatch, tmp_path):
    answers(monkeypatch, {"open": [{"service": "shop"}], "incidents": [incident("F1", 2, "")]})

    (finding,) = StoredEvidence(tmp_path).explain()

    assert finding.services == ["shop"]


def test_the_aftermath_counts_the_requests_of_the_service_by_cause(monkeypatch, tmp_path):
    told = [incident("F1", 9, "shop", "shop", "mq"), incident("A2b", 9, *["shop"] * 5),
            incident("B1", 9, "mq")]  # fmt: skip
    answers(monkeypatch, told)

    found = StoredEvidence(tmp_path).aftermath("shop", at(0), at(60))

    assert found == Aftermath(60.0, 14, {"A2b": 10, "F1": 4})


def test_once_it_is_over_what_it_did_is_told_in_the_thread_once(tmp_path):
    router = routed(tmp_path, knows_at_s=0)
    router.explainer.did = Aftermath(252.0, 212, {"F1": 200, "UNKNOWN": 12})
    router.take(alert())
    router.run(60)
    router.take(alert(end_s=60))
    router.run(60)
    router.ledger.close()
    router.start()
    router.run(600)

    first, over, after = router.room.messages
    assert "resolved" in over["text"]
    assert after["text"] == "P0 · resolved: 212 requests timed out shop"
    assert after["thread"] == first["thread"]
    assert all(part in said(after) for part in ("252 s", "F1", "200 x 504", "UNKNOWN", "12 x 504"))
    assert router.explainer.asked_about == [("shop", at(-180), at(60))]


@pytest.mark.parametrize("did", [None, Aftermath(60.0, 0, {})])
def test_of_an_incident_that_hit_no_request_nothing_is_counted(tmp_path, did):
    router = routed(tmp_path, knows_at_s=0)
    router.explainer.did = did
    router.take(alert())
    router.run(30)
    router.take(alert(end_s=30))
    router.run(600)

    assert len(router.room.messages) == 2
    assert len(router.explainer.asked_about) == 1


def test_a_p1_has_no_aftermath(tmp_path):
    router = routed(tmp_path, knows_at_s=0)
    router.take(alert(severity="p1"))
    router.run(30)
    router.take(alert(severity="p1", end_s=30))
    router.run(60)

    assert router.explainer.asked_about == []


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

    assert StoredEvidence(tmp_path).explain() == []
    assert StoredEvidence(tmp_path).aftermath("shop", 0, 1) in (None, Aftermath(1e-9, 0, {}))


def test_a_view_that_takes_too_long_is_given_up(tmp_path):
    view = StoredEvidence(tmp_path, limit_s=0.3)
    view._command = [sys.executable, "-c", "import time; time.sleep(60)"]

    assert view.explain() == []
    assert view.aftermath("shop", 0, 1) is None
