"""Bursts with more than one cause."""

from __future__ import annotations

import pytest
from evidence_by_hand import Scene

from why504 import names
from why504.diagnose import explain

LLM = {names.GEN_AI_PROVIDER: "groq"}
DB = {names.DB_SYSTEM: "postgresql"}


def burst(scene: Scene, route: str, count: int, start_s: float, **call) -> None:
    for n in range(count):
        begin_s = start_s + n * 0.1
        scene.gateway(f"{route}{n}", begin_s, begin_s + 4)
        scene.app(f"{route}{n}", begin_s, None, f"/v1/{route}")
        scene.span(f"{route}{n}", "call", "app", begin_s + 0.01, None, kind="client", **call)


def test_two_causes_that_nothing_connects_are_two_incidents():
    scene = Scene(until_s=60)
    scene.locks_watched(0, 60)
    burst(scene, "score", 10, 10, name="chat", **LLM)
    burst(scene, "report", 8, 10.05, name="SELECT", **DB)

    incidents = explain(scene.evidence())

    assert sorted((i.finding.cause, len(i.victims)) for i in incidents) == [("A2a", 8), ("B3", 10)]
    assert all({v.route for v in i.victims} <= set(i.routes) for i in incidents)
    for incident in incidents:
        assert incident.blame_in_s == pytest.approx(incident.blame_out_s, abs=1e-6)
        assert len(incident.routes) == 1
    assert len({incident.id for incident in incidents}) == 2


def test_a_few_of_another_kind_stay_with_the_many():
    scene = Scene(until_s=60)
    scene.locks_watched(0, 60)
    burst(scene, "score", 20, 10, name="chat", **LLM)
    burst(scene, "report", 2, 10.05, name="SELECT", **DB)

    (incident,) = explain(scene.evidence())

    assert incident.finding.cause == "B3"
    assert len(incident.victims) == 22


def test_victims_of_one_pool_stay_one_incident():
    scene = Scene(until_s=60)
    scene.locks_watched(0, 60)
    for n, call in enumerate([{"name": "chat", **LLM}, {"name": "SELECT", **DB}]):
        scene.app(f"holder{n}", 5, None)
        scene.span(f"holder{n}", "call", "app", 5.1, None, kind="client", **call)
        scene.hold(f"holder{n}", 5.05, None, "db.pool:main")
    for n in range(10):
        scene.gateway(f"v{n}", 10, 14)
        scene.app(f"v{n}", 10, None)
        scene.wait(f"v{n}", 10.01, None, "db.pool:main")

    assert len(explain(scene.evidence())) == 1
