"""Victims without a gateway: requests that took too long, or are open for too long."""

from __future__ import annotations

import pytest
from evidence_by_hand import Scene

from why504 import names
from why504.diagnose import explain

DB = {names.DB_SYSTEM: "postgresql"}


def without_a_gateway() -> Scene:
    scene = Scene(until_s=40)
    query = {"kind": "client", "name": "SELECT", **DB}
    for n in range(5):
        scene.app(f"quick{n}", 1 + n, 1.1 + n)
        scene.app(f"slow{n}", 10 + n, 22 + n)
        scene.span(f"slow{n}", "query", "app", 10.5 + n, 21.5 + n, **query)
        scene.app(f"open{n}", 25 + n, None)
        scene.span(f"open{n}", "query", "app", 25.5 + n, None, **query)
    scene.locks_watched(0, 40)
    return scene


def test_slow_and_open_requests_are_victims_when_asked_for():
    (incident,) = explain(without_a_gateway().evidence(), slower_than_s=10)

    assert incident.finding.cause == "A2a"
    assert [v.how for v in incident.victims].count("slow") == 5
    assert [v.how for v in incident.victims].count("in flight") == 5
    assert all(v.reached_app and v.route == "POST /v1/x" for v in incident.victims)
    assert incident.blame_in_s == pytest.approx(incident.blame_out_s, abs=1e-6)
    assert incident.blame_in_s == pytest.approx(5 * 12 + sum(40 - 25 - n for n in range(5)))
    assert "5 x slow" in incident.finding.sentence
    assert "5 x in flight" in incident.finding.sentence


def test_nobody_is_a_victim_unasked_and_nobody_who_was_quick_enough():
    assert explain(without_a_gateway().evidence()) == []
    assert explain(without_a_gateway().evidence(), slower_than_s=60) == []


def test_a_request_that_timed_out_at_the_gateway_is_not_told_twice():
    scene = Scene(until_s=40)
    scene.gateway("v", 10, 14)
    scene.app("v", 10, 30)

    (incident,) = explain(scene.evidence(), slower_than_s=2)

    assert [v.how for v in incident.victims] == ["timeout"]


def test_what_nobody_told_is_said():
    (bare,) = explain(without_a_gateway().evidence(), slower_than_s=10)
    assert any("only spans" in line for line in bare.caveats)
    assert any("no gateway" in line for line in bare.caveats)
    assert not any("PostgreSQL" in line for line in bare.caveats)

    scene = Scene(until_s=40)
    scene.gateway("v", 10, 14)
    scene.app("v", 10, None)
    scene.told_of_itself(5, 35, cpu_s=1)
    (told,) = explain(scene.evidence())
    assert told.caveats == []
