"""A loop that stands still is told though no request is seen to wait for it."""

from __future__ import annotations

import pytest
from evidence_by_hand import Scene, site

from why504 import names
from why504.diagnose import explain
from why504.diagnose.engine import blamer_of
from why504.diagnose.standstill import as_incident, standstills, unsuffered


def test_a_loop_that_is_blocked_now_is_told_without_any_request():
    scene = Scene(until_s=20)
    scene.stall("task", 2, None, site(9))

    assert explain(scene.evidence(), slower_than_s=1.0) == []
    (one,) = standstills(scene.evidence())
    assert one.until_ns is None
    assert one.sentence.startswith("the event loop of process 42 of svc stood still from ")
    assert one.sentence.endswith(
        " on, seen for 18.0 s: publish blocks it at service/publisher.py:9"
    )


@pytest.mark.parametrize(
    ("told", "cause", "says"),
    [
        ({names.STALL_CPU_S: 0.1}, "B1", "blocks it"),
        ({names.STALL_CPU_S: 17.0}, "A3", "blocks it"),
        ({names.STALL_GIL_KEPT: True}, "A3", "kept the GIL"),
    ],
)
def test_for_machines_it_is_an_incident_without_victims(told, cause, says):
    scene = Scene(until_s=20)
    scene.stall("task", 2, None, site(9), **told)

    (one,) = standstills(scene.evidence())
    incident = as_incident(one, blamer_of(scene.evidence()))

    assert (incident.finding.cause, incident.finding.mechanism) == (cause, "loop")
    assert (incident.count, list(incident.victims), incident.blame_in_s) == (0, [], 0.0)
    assert str(incident.finding.site) == "service/publisher.py:9"
    assert says in incident.finding.sentence
    assert incident.finding.advice


@pytest.mark.parametrize(("slower_than_s", "told"), [(None, 0), (1.0, 1), (4.0, 0)])
def test_what_is_over_is_told_as_far_as_it_would_have_made_a_request_slow(slower_than_s, told):
    scene = Scene(until_s=20)
    scene.stall("task", 2, 5, site(9))

    assert len(standstills(scene.evidence(), slower_than_s)) == told


def test_an_end_that_got_lost_is_an_end():
    scene = Scene(until_s=100)
    scene.until_s = 8
    scene.stall("task", 2, None, site(9))
    scene.until_s = 100

    (one,) = standstills(scene.evidence())

    assert one.until_ns is not None
    assert " until " in one.sentence


def test_many_short_stalls_told_as_one_are_no_standstill():
    scene = Scene(until_s=20)
    scene.stall("task", 2, None, site(9), **{names.STALL_SHARE: 0.8})

    assert standstills(scene.evidence()) == []


def test_what_an_incident_tells_of_is_no_incident_of_its_own():
    scene = Scene(until_s=20)
    scene.stall("task", 2, None, site(9))
    scene.app("waits", 3, None)

    incidents = explain(scene.evidence(), slower_than_s=1.0)

    assert len(incidents) == 1
    assert unsuffered(standstills(scene.evidence()), incidents) == []
