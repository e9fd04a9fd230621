"""What a report says helps: of the line that is stuck, not of what has nothing to do with it."""

from __future__ import annotations

import pytest
from evidence_by_hand import Scene, site

from why504 import names
from why504.diagnose import explain
from why504.model import Finding


def finding(scene: Scene) -> Finding:
    (incident,) = explain(scene.evidence(), slower_than_s=1.0)
    return incident.finding


def test_own_code_that_no_row_names_is_advised_a_limit_at_its_line_and_a_name_for_its_lock():
    scene = Scene(until_s=20)
    scene.app("v", 1, None)
    scene.span("v", "work", "app", 1, None, site=site(7, "app/work.py"))

    told = finding(scene)

    assert told.cause == "UNKNOWN"
    assert "Put a limit on what is waited for at app/work.py:7" in told.advice[0]
    assert "why504.resource(" in told.advice[1]
    assert not any("every worker" in line for line in told.advice)


def test_requests_that_no_application_told_of_are_advised_to_look_for_the_probe():
    scene = Scene(until_s=20)
    scene.gateway("unseen", 1, 6)

    assert any("every worker" in line for line in finding(scene).advice)


def ring(scene: Scene, first: str, second: str) -> None:
    for who, has, wants in (("a", first, second), ("b", second, first)):
        scene.app(who, 1, None)
        scene.hold(who, 1.1, None, has, site=site(11))
        scene.wait(who, 1.2, None, wants, site=site(12))


def test_a_ring_in_a_thread_pool_is_not_advised_what_helps_with_locks():
    scene = Scene(until_s=20)
    ring(scene, names.THREADPOOL, names.THREADPOOL)

    told = finding(scene)

    assert told.mechanism == "limiter"
    assert "worker thread" in told.advice[0]
    assert not any("locks" in line for line in told.advice)


def test_two_locks_of_the_same_name_are_told_apart():
    scene = Scene(until_s=20)
    ring(scene, "lock:locks[...]", "lock:locks[...]#2")

    told = finding(scene)

    waits = {link.what for link in told.chain if link.what.startswith("waiting for the lock")}
    assert waits == {"waiting for the lock locks[...]", "waiting for the lock locks[...]#2"}
    assert told.advice[0].startswith("Take locks in the same order")


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("psql, idle for 41 s", "pg_advisory_xact_lock"),
        ("psql, idle in transaction for 41 s", "idle_in_transaction_session_timeout"),
        ("psql, active for 41 s", "idle_in_transaction_session_timeout"),
    ],
)
def test_a_session_that_is_only_idle_is_not_ended_by_a_limit_on_transactions(state, says):
    scene = Scene(until_s=20)
    lock = names.db_lock("advisory", 77)
    scene.hold("session", 0, None, lock, **{names.LOCK_SESSION: state, names.BACKEND_PID: 77})
    scene.app("v", 1, None)
    scene.wait("v", 1.1, None, lock)

    told = finding(scene)

    assert told.cause == "A2b"
    assert says in told.advice[-1]


def test_pauses_between_attempts_are_told_by_their_own_length_not_by_that_of_the_attempts():
    scene = Scene(until_s=20)
    scene.app("v", 1, None)
    for attempt in range(4):
        begin_s = 1 + attempt * 5
        scene.span(
            "v", f"try{attempt}", "app", begin_s, begin_s + 0.01, kind="client", name="GET",
            **{names.SERVER_ADDRESS: "api.example.org", names.HTTP_STATUS: 503},
        )  # fmt: skip

    told = finding(scene)

    assert told.cause == "D1"
    assert "takes up to 15.0 s of a request" in told.sentence
    assert any("pauses between attempts that failed" in line for line in told.evidence_for)
    assert "all attempts and pauses" in told.advice[0]
