"""Who has what requests wait for, and is no request: told by what is known of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from evidence_by_hand import APP, Scene, at, site

from why504 import names
from why504.diagnose import explain
from why504.diagnose.live import Live
from why504.diagnose.outsiders import now_at, who_has
from why504.model import Finding, Site

AT = {names.HOLD_AT: 'File "service/cache.py", line 14, in Cache.refresh'}
THREAD = {names.THREAD_NAME: "refresher"}


def kept_by_an_outsider(stack: str = "", **told: str) -> Finding:
    """Five requests that wait for a lock which somebody has had since before they came."""
    scene = Scene(until_s=40)
    scene.hold("outsider", 2, None, "lock:a", site=site(13), stack=stack, **told)
    scene.holds = [replace(hold, parent_id=None) for hold in scene.holds]
    for n in range(5):
        scene.gateway(f"v{n}", 10 + n * 0.1, 14 + n * 0.1)
        scene.app(f"v{n}", 10 + n * 0.1, None)
        scene.wait(f"v{n}", 10.05 + n * 0.1, None, "lock:a")
    (incident,) = explain(scene.evidence())
    assert incident.blame_in_s == pytest.approx(incident.blame_out_s, abs=1e-6)
    assert "thread refresher outside any request" in incident.victims[0].held_by
    return incident.finding


def test_a_thread_outside_any_request_is_told_with_its_name_and_its_line():
    finding = kept_by_an_outsider(**AT, **THREAD)

    assert finding.site == Site("service/cache.py", 14, "Cache.refresh")
    assert "Cache.refresh in thread refresher outside any request" in finding.sentence
    assert (
        finding.chain[1].evidence[0].startswith("held by 1 x thread refresher outside any request")
    )
    assert finding.chain[1].evidence[0].endswith("taken at service/publisher.py:13")


def test_a_thread_whose_line_is_not_known_is_told_with_where_it_took_it():
    finding = kept_by_an_outsider(**THREAD)

    assert finding.site == site(13)
    assert "lock:a held by thread refresher outside any request" in finding.sentence


def test_a_thread_that_waits_for_a_peer_passes_the_blame_on_to_it():
    stack = 'File "requests/adapters.py", line 9, in send\n' + AT[names.HOLD_AT]
    finding = kept_by_an_outsider(stack, **AT, **THREAD)

    assert (finding.cause, finding.mechanism) == ("D1", "lock")


@pytest.mark.parametrize(
    ("parent_id", "told", "words"),
    [
        ("ab" * 8, {}, "a request without spans"),
        (None, {}, "work outside any request"),
        (None, {names.LOCK_SESSION: "psql, idle"}, "psql, idle"),
    ],
)
def test_who_has_something_is_told_as_what_it_is(parent_id, told, words):
    scene = Scene(until_s=40)
    scene.hold("x", 2, None, **told)
    (hold,) = scene.holds

    assert who_has(replace(hold, parent_id=parent_id)) == words
    assert now_at(hold) is None


def test_the_live_view_tells_a_thread_with_the_line_that_it_is_at():
    scene = Scene(until_s=40)
    scene.hold("outsider", 2, None, "lock:a", site=site(13), **AT, **THREAD)
    scene.holds = [replace(hold, parent_id=None) for hold in scene.holds]
    scene.app("waiter", 10, None)
    scene.wait("waiter", 10, None, "lock:a")
    live = Live()
    live.update(replace(scene.evidence(), heard_ns={APP: at(40)}), at(40))

    (holding,) = live.now().holders

    assert holding.route == "thread refresher outside any request"
    assert holding.at == Site("service/cache.py", 14, "Cache.refresh")
