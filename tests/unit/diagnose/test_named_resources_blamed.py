"""Locks and semaphores that the user named: whose fault it is that others wait for them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from evidence_by_hand import Scene, site
from test_engine import pool_scene

from why504 import names
from why504.diagnose import explain
from why504.model import Incident

HTTP = {names.SERVER_ADDRESS: "api.example.org"}


def only(scene: Scene) -> Incident:
    (incident,) = explain(scene.evidence())
    assert incident.blame_in_s == pytest.approx(incident.blame_out_s, abs=1e-6)
    return incident


def member(scene: Scene, who: str, has: str, wants: str, line: int, route: str) -> None:
    """A request that has one thing and waits for another, on the line after."""
    scene.gateway(who, 10, 14)
    scene.app(who, 10, None, route)
    scene.hold(who, 10.1, None, has, site=site(line))
    scene.wait(who, 10.2, None, wants, site=site(line + 1))


def ring(scene: Scene, one: str = "lock:a", two: str = "lock:b") -> None:
    member(scene, "first", one, two, 10, "/v1/first")
    member(scene, "second", two, one, 20, "/v1/second")


def test_two_locks_taken_in_two_orders_are_told_as_a_ring_with_all_lines():
    scene = Scene(until_s=40)
    ring(scene)
    for n in range(5):
        scene.gateway(f"late{n}", 11 + n * 0.1, 15 + n * 0.1)
        scene.app(f"late{n}", 11 + n * 0.1, None)
        scene.wait(f"late{n}", 11.05 + n * 0.1, None, "lock:a", site=site(10))

    incident = only(scene)
    finding = incident.finding

    assert (finding.cause, finding.mechanism) == ("UNKNOWN", "lock")
    assert finding.title.startswith("A deadlock")
    assert (
        "who has lock:a (taken at service/publisher.py:10) waits for lock:b"
        " (at service/publisher.py:11); who has lock:b (taken at service/publisher.py:20)"
        " waits for lock:a (at service/publisher.py:21)" in finding.sentence
    )
    assert "no cause can be named" not in finding.sentence
    assert finding.site == site(11)
    assert any("same order" in line for line in finding.advice)
    (cycle,) = [blame for blame in incident.blames if blame.leaf.kind == "cycle"]
    assert cycle.share > 0.9


def test_a_ring_of_a_lock_and_a_pool_is_no_nested_checkout():
    scene = Scene(until_s=40)
    ring(scene, "db.pool:main", "lock:a")

    finding = only(scene).finding

    assert finding.cause == "UNKNOWN"
    assert "who has db.pool:main" in finding.sentence
    assert "who has lock:a" in finding.sentence


def test_a_request_that_takes_its_own_lock_again_is_a_ring_of_one():
    scene = Scene(until_s=40)
    member(scene, "only", "lock:a", "lock:a", 10, "/v1/x")

    finding = only(scene).finding

    assert finding.title.startswith("A deadlock")
    assert finding.sentence.count("who has lock:a") == 1
    assert "publisher.py:11" in finding.sentence


def queue(scene: Scene, resource: str, places: int, **told) -> None:
    """Holders that each wait for a slow call, and ten requests that wait for them."""
    for n in range(places):
        scene.app(f"holder{n}", 5, None, "/v1/holder")
        scene.hold(f"holder{n}", 5.1, None, resource, site=site(33))
        scene.span(
            f"holder{n}", "call", "app", 5.2, None, kind="client", name="GET", site=site(34), **HTTP
        )
    for n in range(10):
        start_s = 10 + n * 0.2
        scene.gateway(f"v{n}", start_s, start_s + 4)
        scene.app(f"v{n}", start_s, None)
        scene.wait(f"v{n}", start_s + 0.01, None, resource, **told)


def test_who_has_a_named_lock_passes_blame_on_to_the_call_that_it_waits_for():
    scene = Scene(until_s=40)
    queue(scene, "lock:model", 1)

    incident = only(scene)

    assert (incident.finding.cause, incident.finding.mechanism) == ("D1", "lock")
    assert incident.finding.site == site(34)
    assert "waiting for the lock model" in [link.what for link in incident.finding.chain]


def test_all_holders_of_a_semaphore_share_the_blame_and_places_are_counted():
    scene = Scene(until_s=40)
    told = {names.POOL_CAPACITY: 2, names.POOL_IN_USE: 2, names.POOL_WAITING: 9}
    queue(scene, "limiter:gpu", 2, **told)

    incident = only(scene)
    link = next(one for one in incident.finding.chain if "limiter" in one.what)

    assert (incident.finding.cause, incident.finding.mechanism) == ("D1", "limiter")
    assert link.what == "waiting for a place of the limiter gpu (2 of 2 in use, 9 waiting)"
    assert link.evidence[0].startswith("held by 2 x POST /v1/holder")


@pytest.mark.parametrize(
    ("resource", "more"),
    [("limiter:gpu", ["limiter:gpu had 4 places instead of 2"]), ("lock:a", [])],
)
def test_a_limiter_may_be_enlarged_and_a_lock_may_not(resource, more):
    scene = pool_scene()
    for n in range(5):
        scene.gateway(f"early{n}", -3 + n * 0.1, -2.8 + n * 0.1, 200)
        scene.app(f"early{n}", -3 + n * 0.1, -2.8 + n * 0.1)
    scene.waits = [replace(wait, resource=resource) for wait in scene.waits]
    scene.holds = [replace(hold, resource=resource) for hold in scene.holds]

    (incident,) = explain(scene.evidence(), what_if=True)

    assert len(incident.replay.tried) > len(more)
    assert [tried.change for tried in incident.replay.tried if "places" in tried.change] == more


def test_a_lock_that_is_never_given_back_is_told_with_the_line_that_took_it():
    scene = Scene(until_s=40)
    scene.app("forgot", 5, 6)
    scene.hold("forgot", 5.1, None, "lock:model", site=site(33), **{names.REQUEST_ENDED: True})
    for n in range(10):
        start_s = 10 + n * 0.2
        scene.gateway(f"v{n}", start_s, start_s + 4)
        scene.app(f"v{n}", start_s, None)
        scene.wait(f"v{n}", start_s + 0.01, None, "lock:model")

    finding = only(scene).finding

    assert (finding.cause, finding.mechanism, finding.site) == ("UNKNOWN", "lock", site(33))
    assert "lock:model kept after its request had ended" in finding.sentence
