"""One request by itself."""

from __future__ import annotations

from tests.unit.diagnose.evidence_by_hand import Scene, at, hexid
from why504 import names
from why504.diagnose.single import as_victim
from why504.model import Evidence, Window


def test_an_open_request_is_told_until_it_was_last_heard_of():
    scene = Scene(until_s=100)
    scene.app("r", 10, None, route="/v1/slow")

    found = as_victim(scene.evidence())

    assert found is not None
    assert (found.trace_id, found.route, found.how) == (
        hexid("r", 32),
        "POST /v1/slow",
        "in flight",
    )
    assert (found.start_ns, found.gave_up_ns, found.status) == (at(10), at(100), 0)
    assert found.reached_app


def test_the_gateway_is_the_outermost_whatever_clocks_say():
    scene = Scene(until_s=100)
    scene.app("r", 9, 12)
    scene.gateway("r", 10, 12, status=200)

    found = as_victim(scene.evidence())

    assert found is not None
    assert (found.start_ns, found.gave_up_ns, found.status, found.how) == (
        at(10),
        at(12),
        200,
        "slow",
    )


def test_a_request_that_only_the_gateway_knows_did_not_reach_the_application():
    scene = Scene(until_s=100)
    scene.gateway("r", 10, 70)

    found = as_victim(scene.evidence())

    assert found is not None
    assert not found.reached_app


def test_a_lock_that_a_session_outside_keeps_is_told_by_its_session():
    scene = Scene(until_s=100)
    scene.hold("psql", 5, None, "db.lock:orders#77", **{names.LOCK_SESSION: "psql of postgres"})

    found = as_victim(scene.evidence())

    assert found is not None
    assert (found.route, found.how, found.reached_app) == ("psql of postgres", "in flight", False)
    assert (found.start_ns, found.gave_up_ns) == (at(5), at(100))


def test_nothing_is_known_of_no_span():
    assert as_victim(Evidence(Window(0, 1))) is None
