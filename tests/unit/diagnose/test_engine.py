import math
import random
from dataclasses import replace

import pytest
from evidence_by_hand import Scene, hexid, site
from hypothesis import given, settings
from hypothesis import strategies as st

from why504 import names
from why504.diagnose import explain


def pool_scene(victims: int = 6) -> Scene:
    """Two connections, both held by requests that await an LLM; everybody else waits."""
    scene = Scene(until_s=30)
    for n in range(2):
        who = f"holder{n}"
        scene.gateway(who, n * 0.1, n * 0.1 + 5)
        scene.app(who, n * 0.1, None, "/v1/score")
        scene.hold(who, n * 0.1, None, site=site(10))
        scene.span(
            who, "llm", "app", n * 0.1 + 0.1, None, kind="client", name="chat llama", site=site(48),
            **{names.GEN_AI_PROVIDER: "groq", names.GEN_AI_MODEL: "llama"},
        )  # fmt: skip
    for n in range(victims):
        who = f"victim{n}"
        scene.gateway(who, 1 + n * 0.1, 6 + n * 0.1)
        scene.app(who, 1 + n * 0.1, None)
        scene.wait(who, 1.01 + n * 0.1, None, **{names.POOL_CAPACITY: 2, names.POOL_IN_USE: 2})
    return scene


def test_waiting_is_passed_through_the_holders_to_what_they_wait_for():
    [incident] = explain(pool_scene().evidence())

    assert (incident.finding.cause, incident.finding.mechanism) == ("B3", "pool")
    assert str(incident.finding.site) == "service/publisher.py:48"
    assert incident.finding.confidence > 0.95
    assert len(incident.victims) == 8
    assert all(victim.explained for victim in incident.victims)
    waiting = [v for v in incident.victims if v.blocked_in == "waiting for db.pool:main"]
    assert {v.holder_trace_id for v in waiting} == {hexid("holder0", 32)}
    assert waiting[0].held_by == "POST /v1/score, taken at service/publisher.py:10"


def test_every_second_that_goes_in_comes_out():
    [incident] = explain(pool_scene().evidence())

    assert incident.blame_in_s == pytest.approx(8 * 5.0)
    assert incident.blame_out_s == pytest.approx(incident.blame_in_s, rel=1e-9)


def test_without_holds_the_cause_is_unknown_instead_of_wrong():
    scene = pool_scene()
    scene.holds.clear()

    [incident] = explain(scene.evidence())

    assert incident.finding.cause == "UNKNOWN"
    waiting = [v for v in incident.victims if v.blocked_in == "waiting for db.pool:main"]
    assert len(waiting) == 6
    assert not any(v.explained for v in waiting)


def test_a_blocked_loop_is_the_cause_even_for_requests_that_the_application_never_saw():
    scene = Scene(until_s=20)
    scene.gateway("culprit", 0, 5)
    scene.app("culprit", 0.001, None)
    stack = 'File "pika/adapters/blocking_connection.py", line 360, in __init__\n'
    stack += 'File "service/publisher.py", line 48, in publish\n'
    scene.stall("culprit", 0.01, None, site(48), stack=stack)
    for n in range(20):
        scene.gateway(f"unseen{n}", 0.5 + n * 0.1, 5.5 + n * 0.1)

    [incident] = explain(scene.evidence())

    assert (incident.finding.cause, incident.finding.mechanism) == ("F1", "loop")
    assert str(incident.finding.site) == "service/publisher.py:48"
    assert sum(not v.reached_app for v in incident.victims) == 20
    assert all(v.explained for v in incident.victims)
    assert incident.blame_out_s == pytest.approx(21 * 5.0, rel=1e-9)


@pytest.mark.parametrize(
    ("cpu_s", "cause"), [(0.05, "B1"), (9.9, "A3")], ids=["waits in a call", "computes"]
)
def test_cpu_time_tells_a_blocking_call_from_computing(cpu_s, cause):
    scene = Scene(until_s=10)
    scene.stall("culprit", 0, 10, site(7), **{names.STALL_CPU_S: cpu_s})
    scene.gateway("unseen", 1, 6)

    assert explain(scene.evidence())[0].finding.cause == cause


@pytest.mark.parametrize(
    ("told", "cause", "says"),
    [
        ({}, "A3", "it kept the GIL"),
        ({names.STALL_CPU_S: 9.9}, "A3", "99% of a core"),
        ({names.STALL_CPU_S: 0.1}, "B1", "1% of a core: too little"),
    ],
    ids=["nobody could tell its CPU", "computes", "sleeps in C"],
)
def test_a_stall_that_keeps_the_gil_computes_unless_its_cpu_time_says_otherwise(told, cause, says):
    scene = Scene(until_s=10)
    scene.stall("culprit", 0, 10, site(7), **{names.STALL_GIL_KEPT: True}, **told)
    scene.gateway("unseen", 1, 6)

    finding = explain(scene.evidence())[0].finding

    assert finding.cause == cause
    assert any(says in line for line in finding.evidence_for)


def test_without_stalls_a_silent_application_is_unknown():
    scene = Scene(until_s=10)
    scene.gateway("unseen", 1, 6)

    [incident] = explain(scene.evidence())

    assert incident.finding.cause == "UNKNOWN"
    assert incident.victims[0].blocked_in == "not taken up by the application"


def test_a_stall_that_ended_before_is_not_blamed():
    scene = Scene(until_s=10)
    scene.stall("culprit", 0, 0.5, site(7))
    scene.gateway("unseen", 1, 6)

    assert explain(scene.evidence())[0].finding.cause == "UNKNOWN"


def slow_query() -> Scene:
    scene = Scene(until_s=10)
    scene.gateway("victim", 0, 5)
    scene.app("victim", 0, None)
    scene.span(
        "victim", "SELECT", "app", 0.1, None, kind="client", name="SELECT big", site=site(9),
        **{names.DB_SYSTEM: "postgresql"},
    )  # fmt: skip
    return scene


@pytest.mark.parametrize(
    ("watched_s", "cause"), [(10, "A2a"), (1, "UNKNOWN")], ids=["all the time", "not any more"]
)
def test_a_query_is_called_slow_only_while_somebody_watched_for_locks(watched_s, cause):
    scene = slow_query()
    scene.locks_watched(0, watched_s)

    assert explain(scene.evidence())[0].finding.cause == cause


def test_a_connection_that_is_not_made_is_no_slow_query():
    scene = slow_query()
    scene.locks_watched(0, 10)
    scene.spans[2] = replace(scene.spans[2], name="connect shop")

    assert explain(scene.evidence())[0].finding.cause == "UNKNOWN"


def test_a_worker_thread_is_not_blocked_by_the_loop():
    scene = Scene(until_s=10)
    scene.locks_watched(0, 10)
    scene.stall("other", 0, None, site(7), **{names.THREAD_ID: 1})
    scene.gateway("victim", 0, 5)
    scene.app("victim", 0, None)
    scene.span(
        "victim", "SELECT", "app", 0.1, None, kind="client", name="SELECT big", site=site(9),
        **{names.DB_SYSTEM: "postgresql", names.THREAD_ID: 2},
    )  # fmt: skip

    assert explain(scene.evidence())[0].finding.cause == "A2a"


def test_a_lock_leads_to_the_session_outside_that_keeps_it():
    scene = Scene(until_s=20)
    for n in range(2):
        who = f"holder{n}"
        scene.gateway(who, 0, 5)
        scene.app(who, 0, None)
        scene.hold(who, 0.01, None, site=site(10), **{names.BACKEND_PID: 100 + n})
        scene.span(
            who, "select", "app", 0.02, None, kind="client", name="SELECT friendship_status",
            site=site(55), **{names.DB_SYSTEM: "postgresql"},
        )  # fmt: skip
        scene.wait(
            f"pg{n}", 0.03, None, "db.lock:friendship_status#77", instance="pg",
            **{names.BACKEND_PID: 100 + n},
        )  # fmt: skip
    scene.hold(
        "psql", 0, None, "db.lock:friendship_status#77", instance="pg",
        **{names.BACKEND_PID: 77, names.LOCK_SESSION: "psql, idle in transaction for 20 s"},
    )  # fmt: skip
    for n in range(5):
        scene.gateway(f"victim{n}", 1, 6)
        scene.app(f"victim{n}", 1, None)
        scene.wait(f"victim{n}", 1.01, None)

    [incident] = explain(scene.evidence())

    assert (incident.finding.cause, incident.finding.mechanism) == ("A2b", "lock")
    assert str(incident.finding.site) == "service/publisher.py:55", "the line that waits"
    assert "database session 77" in incident.finding.chain[-1].what
    assert [link.what.split(" (")[0] for link in incident.finding.chain[1:3]] == [
        "waiting for a connection of pool main",
        "waiting for a lock on friendship_status that database backend 77 keeps",
    ]


POOLS = ("db.pool:main", "http.pool:api.example.com", "redis.pool:cache")


@pytest.mark.parametrize("pool", POOLS)
def test_a_hold_that_outlives_its_request_is_a_leak(pool):
    scene = Scene(until_s=30)
    for n in range(2):
        scene.gateway(f"leaker{n}", 0, 0.2, status=200)
        scene.app(f"leaker{n}", 0, 0.2)
        scene.hold(f"leaker{n}", 0.1, None, pool, site=site(33))
    for n in range(5):
        scene.gateway(f"victim{n}", 5 + n, 10 + n)
        scene.app(f"victim{n}", 5 + n, None)
        scene.wait(f"victim{n}", 5.01 + n, None, pool)

    [incident] = explain(scene.evidence())

    assert (incident.finding.cause, incident.finding.mechanism) == ("A1a", "pool")
    assert str(incident.finding.site) == "service/publisher.py:33"


@pytest.mark.parametrize(("ended", "cause"), [(True, "A1a"), (False, "UNKNOWN")])
def test_a_hold_of_a_request_without_spans_says_itself_that_it_is_over(ended, cause):
    scene = Scene(until_s=30)
    told = {names.REQUEST_ENDED: True} if ended else {}
    for n in range(2):
        scene.hold(f"unsampled{n}", 0.1, None, site=site(33), **told)
    for n in range(5):
        scene.gateway(f"victim{n}", 5 + n, 10 + n)
        scene.app(f"victim{n}", 5 + n, None)
        scene.wait(f"victim{n}", 5.01 + n, None)

    [incident] = explain(scene.evidence())

    assert incident.finding.cause == cause


@pytest.mark.parametrize("pool", POOLS)
def test_many_brief_holders_mean_a_pool_that_is_too_small(pool):
    scene = Scene(until_s=40)
    for n in range(120):
        who, start_s = f"brief{n}", n * 0.25
        scene.gateway(who, max(0, start_s - 5), start_s + 0.25, status=200)
        scene.app(who, max(0, start_s - 5), start_s + 0.25)
        scene.hold(who, start_s, start_s + 0.25, pool, site=site(10))
        scene.span(
            who, "select", "app", start_s + 0.01, start_s + 0.24, kind="client", name="SELECT x",
            **{names.DB_SYSTEM: "postgresql"},
        )  # fmt: skip
    for n in range(30):
        scene.gateway(f"victim{n}", 5 + n * 0.5, 10 + n * 0.5)
        scene.app(f"victim{n}", 5 + n * 0.5, None)
        scene.wait(f"victim{n}", 5.01 + n * 0.5, None, pool)

    [incident] = explain(scene.evidence())

    assert (incident.finding.cause, incident.finding.mechanism) == ("A1b", "pool")


@pytest.mark.parametrize("pool", POOLS)
def test_requests_that_hold_and_wait_in_a_ring_are_a_deadlock(pool):
    scene = Scene(until_s=20)
    for n in range(2):
        scene.gateway(f"nested{n}", 0, 5)
        scene.app(f"nested{n}", 0, None)
        scene.hold(f"nested{n}", 0, None, pool, site=site(10))
        scene.wait(f"nested{n}", 0.1, None, pool)

    [incident] = explain(scene.evidence())

    assert incident.finding.cause == "A1c"
    assert incident.blame_out_s == pytest.approx(incident.blame_in_s, rel=1e-9)


def test_nobody_timed_out_nobody_is_blamed():
    scene = Scene(until_s=20)
    scene.stall("culprit", 0, 3, site(7))
    scene.gateway("slow", 0, 4, status=200)
    scene.gateway("abort", 0, 0.7, status=499, **{names.GATEWAY_TIMEOUT_S: 5.0})
    scene.gateway("restart", 0, 0.01, status=502)

    assert explain(scene.evidence()) == []


def test_a_client_that_hung_up_after_the_gateways_limit_is_a_victim():
    scene = Scene(until_s=20)
    scene.gateway("abort", 0, 5, status=499, **{names.GATEWAY_TIMEOUT_S: 5.0})

    assert len(explain(scene.evidence())[0].victims) == 1


def test_two_bursts_far_apart_are_two_incidents():
    scene = Scene(until_s=400)
    scene.gateway("early", 0, 5)
    scene.gateway("late", 300, 305)

    incidents = explain(scene.evidence())

    assert [len(i.victims) for i in incidents] == [1, 1]
    assert incidents[0].id != incidents[1].id


def test_a_route_is_told_even_when_only_the_gateway_saw_the_request():
    scene = Scene(until_s=10)
    scene.gateway("unseen", 0, 5)

    [incident] = explain(scene.evidence())

    assert incident.routes == ["POST /v1/x"]


@settings(max_examples=60, deadline=None)
@given(st.integers(min_value=0, max_value=2**32))
def test_blame_is_conserved_on_any_evidence(seed):
    rng = random.Random(seed)
    scene = Scene(until_s=60)
    names_ = [f"r{n}" for n in range(rng.randint(1, 12))]
    for who in names_:
        start = rng.uniform(0, 30)
        scene.gateway(who, start, start + rng.uniform(0.001, 10), rng.choice([504, 504, 200]))
        if rng.random() < 0.8:
            end = rng.choice([None, start + rng.uniform(0, 20)])
            scene.app(who, start + rng.uniform(-1, 3), end if end is None else end + 4)
        for _ in range(rng.randint(0, 3)):
            begin = start + rng.uniform(-1, 12)
            over = rng.choice([None, begin + rng.uniform(0, 9)])
            resource = rng.choice(["db.pool:main", "db.pool:two", "db.lock:t#7"])
            maker = rng.choice([scene.wait, scene.hold])
            maker(who, begin, over, resource, **{names.BACKEND_PID: rng.randint(1, 9)})
        for n in range(rng.randint(0, 3)):
            begin = start + rng.uniform(-1, 12)
            scene.span(
                who, f"part{n}", rng.choice(["app", "part0", "gone"]), begin,
                rng.choice([None, begin + rng.uniform(0, 9)]),
                kind=rng.choice(["client", "internal"]),
            )  # fmt: skip
        if rng.random() < 0.3:
            begin = start + rng.uniform(-1, 12)
            scene.stall(who, begin, rng.choice([None, begin + rng.uniform(0, 5)]), site(5))

    for incident in explain(scene.evidence()):
        assert math.isclose(incident.blame_in_s, incident.blame_out_s, rel_tol=1e-6)
        assert sum(b.share for b in incident.blames) == pytest.approx(1.0)
