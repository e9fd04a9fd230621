"""Evidence as real systems produce it: ends lost, spans missing, clocks apart, garbage."""

import math
from dataclasses import replace

import pytest
from evidence_by_hand import APP, Scene, at, hexid, site

from why504 import names
from why504.diagnose import explain
from why504.model import Site

DB = {names.DB_SYSTEM: "postgresql"}
LLM = {names.GEN_AI_PROVIDER: "groq", names.GEN_AI_MODEL: "llama"}


def only(scene: Scene):
    [incident] = explain(scene.evidence())
    assert math.isclose(incident.blame_in_s, incident.blame_out_s, rel_tol=1e-6)
    assert len({(v.trace_id, v.span_id) for v in incident.victims}) == len(incident.victims)
    return incident


def queue(scene: Scene, victims: int = 6, start_s: float = 5) -> None:
    """Requests that wait for the pool until the gateway gives up."""
    for n in range(victims):
        scene.gateway(f"victim{n}", start_s + n * 0.1, start_s + 5 + n * 0.1)
        scene.app(f"victim{n}", start_s + n * 0.1, None)
        scene.wait(f"victim{n}", start_s + 0.01 + n * 0.1, None)


def last_told(scene: Scene, kind: str, seen_s: float) -> None:
    """Let the last thing of a kind have been told open at `seen_s`, and never again."""
    things = getattr(scene, kind)
    things[-1] = replace(things[-1], end_ns=None, last_seen_ns=at(seen_s))


# --- ends that got lost ---------------------------------------------------------------------------


def test_a_hold_whose_end_got_lost_is_no_leak():
    scene = Scene(until_s=60)
    for n in range(2):
        scene.gateway(f"brief{n}", 0, 1.4, status=200)
        scene.app(f"brief{n}", 0, 1.4)
        scene.hold(f"brief{n}", 0.1, None, site=site(33))
        last_told(scene, "holds", 1.1)
    queue(scene, start_s=20)

    assert only(scene).finding.cause == "UNKNOWN"


def test_a_wait_whose_end_got_lost_makes_no_deadlock():
    scene = Scene(until_s=60)
    for n in range(2):
        who = f"holder{n}"
        scene.gateway(who, 0, 60, status=200)
        scene.app(who, 0, None)
        scene.wait(who, 0.1, None)
        last_told(scene, "waits", 1.1)
        scene.hold(who, 1.3, None, site=site(10))
        scene.span(who, "llm", "app", 1.4, 40, kind="client", name="chat", site=site(48), **LLM)
    queue(scene, start_s=20)

    assert only(scene).finding.cause == "B3"


def test_a_statement_whose_end_got_lost_is_not_blamed_for_the_rest_of_its_request():
    scene = Scene(until_s=60)
    for n in range(4):
        scene.gateway(f"victim{n}", 0, 50)
        scene.app(f"victim{n}", 0, None)
        scene.span(f"victim{n}", "select", "app", 0.1, None, kind="client", name="SELECT x", **DB)
        last_told(scene, "spans", 2.6)

    assert only(scene).finding.cause == "UNKNOWN"


def test_a_holder_that_fell_silent_has_not_leaked():
    scene = Scene(until_s=60)
    for n in range(2):
        scene.app(f"silent{n}", 0, None)
        last_told(scene, "spans", 1.1)
        scene.hold(f"silent{n}", 0.1, None, site=site(33))
    queue(scene, start_s=20)

    assert only(scene).finding.cause == "UNKNOWN"


# --- work that goes on after its request ----------------------------------------------------------


def test_a_task_that_outlives_its_request_is_no_leak():
    scene = Scene(until_s=30)
    for n in range(2):
        scene.gateway(f"spawns{n}", 0, 0.2, status=200)
        scene.app(f"spawns{n}", 0, 0.2)
        scene.hold(f"spawns{n}", 0.1, None, site=site(33))
        scene.span(
            f"spawns{n}", "llm", "app", 0.15, None, kind="client", name="chat", site=site(48), **LLM
        )
    queue(scene)

    finding = only(scene).finding

    assert (finding.cause, finding.mechanism, str(finding.site)) == (
        "B3", "pool", "service/publisher.py:48",
    )  # fmt: skip


def test_a_task_seen_at_work_after_its_request_is_no_leak_even_without_spans():
    scene = Scene(until_s=30)
    for n in range(2):
        scene.app(f"spawns{n}", 0, 0.2)
        scene.hold(
            f"spawns{n}", 0.1, None, site=site(33), stack='File "service/jobs.py", line 3, in job\n'
        )
    queue(scene)

    assert only(scene).finding.cause == "UNKNOWN"


def test_what_a_request_awaits_counts_though_the_span_that_began_it_ended():
    scene = Scene(until_s=30)
    scene.gateway("victim", 0, 5)
    scene.app("victim", 0, None)
    scene.span("victim", "begin", "app", 0, 0.1)
    scene.span("victim", "llm", "begin", 0.05, None, kind="client", name="chat", **LLM)

    assert only(scene).finding.cause == "B3"


# --- who answers for what -------------------------------------------------------------------------


def test_after_a_retry_the_second_attempt_is_what_the_gateway_waited_for():
    scene = Scene(until_s=30)
    scene.gateway("victim", 0, 10)
    scene.span("victim", "first", "gw", 0, None, kind="server", instance="app-2")
    scene.span("victim", "app", "gw", 1, None, kind="server")
    scene.span("victim", "llm", "app", 1.1, None, kind="client", name="chat", site=site(48), **LLM)

    assert only(scene).finding.cause == "B3"


def test_nobody_waits_for_the_consumer_of_a_message():
    scene = Scene(until_s=30)
    scene.gateway("victim", 0, 5)
    scene.app("victim", 0, None)
    scene.span("victim", "job", "app", 0.1, None, kind="consumer", instance="worker")
    scene.span(
        "victim", "llm", "job", 0.2, None, kind="client", name="chat", instance="worker", **LLM
    )

    assert only(scene).finding.cause == "UNKNOWN"


def test_a_hold_of_one_of_two_attempts_is_pinned_on_neither():
    scene = Scene(until_s=30)
    scene.span("twice", "first", "gw", 0, 0.2, kind="server")
    scene.span("twice", "second", "gw", 0.3, None, kind="server")
    scene.hold("twice", 0.31, None, part="never-told", site=site(33))
    queue(scene)

    assert only(scene).finding.cause == "UNKNOWN"


def test_a_wait_tells_of_a_request_of_which_the_application_told_no_span():
    scene = Scene(until_s=30)
    scene.app("leaker", 0, 0.2)
    scene.hold("leaker", 0.1, None, site=site(33))
    scene.gateway("victim", 5, 10)
    scene.wait("victim", 5.1, None)

    incident = only(scene)

    assert incident.finding.cause == "A1a"
    assert incident.victims[0].reached_app


def test_a_job_without_spans_that_has_the_pool_is_unknown():
    scene = Scene(until_s=30)
    scene.hold("nightly", 0, None, site=site(33), part="nothing")
    queue(scene)

    finding = only(scene).finding

    assert finding.cause == "UNKNOWN"
    assert str(finding.site) == "service/publisher.py:33"


def test_a_served_request_whose_route_is_unknown_is_no_outgoing_call():
    scene = Scene(until_s=30)
    scene.gateway("victim", 0, 5)
    scene.span("victim", "app", "gw", 0, None, kind="server", **{names.SERVER_ADDRESS: "127.0.0.1"})

    assert only(scene).finding.cause == "UNKNOWN"


def test_an_application_that_stopped_telling_is_not_said_to_have_taken_nothing_up():
    scene = Scene(until_s=60)
    scene.gateway("victim", 0, 50)
    scene.app("victim", 0, None)
    last_told(scene, "spans", 2.6)

    incident = only(scene)

    assert incident.finding.cause == "UNKNOWN"
    assert incident.victims[0].blocked_in == "nothing told"
    assert "not taken up" not in incident.finding.sentence


# --- event loops ----------------------------------------------------------------------------------


def stalled(scene: Scene, instance: str, port: int | None) -> None:
    attributes = {} if port is None else {names.SERVER_PORT: port}
    scene.stall("culprit", 0, None, site(7), instance=instance, **attributes)


def test_a_stall_of_another_service_takes_nothing_up_from_this_gateway():
    scene = Scene(until_s=20)
    stalled(scene, "other-service", 9000)
    scene.gateway("unseen", 1, 6)

    assert only(scene).finding.cause == "UNKNOWN"


def test_of_two_machines_with_the_same_port_only_the_one_that_was_meant_is_blamed():
    scene = Scene(until_s=20)
    stalled(scene, "pod-1", 8000)
    for pod in (1, 2):
        who, address = f"seen{pod}", f"10.0.0.{pod}:8000"
        scene.gateway(who, 0, 0.2, 200, **{names.GATEWAY_UPSTREAM_ADDRESS: address})
        scene.span(who, "app", "gw", 0, 0.2, kind="server", instance=f"pod-{pod}")
    scene.gateway("unseen", 1, 6, **{names.GATEWAY_UPSTREAM_ADDRESS: "10.0.0.2:8000"})

    assert only(scene).finding.cause == "UNKNOWN"

    scene.gateway("unseen", 1, 6, **{names.GATEWAY_UPSTREAM_ADDRESS: "10.0.0.1:8000"})
    assert only(scene).finding.cause == "B1"


def test_a_stall_of_one_worker_does_not_touch_what_the_other_worker_took_up():
    scene = Scene(until_s=20)
    stalled(scene, "worker-1", 8000)
    for n in range(3):
        scene.gateway(f"victim{n}", 1, 6)
        scene.app(f"victim{n}", 1.02, 3)  # answered, and the answer never arrived

    assert only(scene).finding.cause == "UNKNOWN"


def test_sync_code_in_a_thread_keeps_its_own_story_while_the_loop_stands():
    scene = Scene(until_s=20)
    scene.stall("other", 0.2, None, site(7), **{names.THREAD_ID: 1})
    scene.gateway("victim", 0, 5)
    scene.app("victim", 0, None)
    scene.wait("victim", 0.1, None, **{names.THREAD_ID: 2})
    scene.app("leaker", 0, 0.1)
    scene.hold("leaker", 0.05, None, site=site(33))

    assert only(scene).finding.cause == "A1a"


# --- locks ----------------------------------------------------------------------------------------


def lock_chain(scene: Scene, peer: dict[str, str], skew_s: float = 0.0) -> None:
    """A has a row and waits for a peer, B waits for A's row, everybody waits for B's connection."""
    scene.gateway("a", 0, 5)
    scene.app("a", 0, None)
    scene.hold("a", 0.1, None, site=site(10), **{names.BACKEND_PID: 100})
    scene.span("a", "out", "app", 0.2, None, kind="client", name="call", site=site(48), **peer)
    scene.hold(
        "pg-a", 0.15 + skew_s, None, "db.lock:t#100", instance="pg", **{names.BACKEND_PID: 100}
    )
    scene.gateway("b", 0.5, 5.5)
    scene.app("b", 0.5, None)
    scene.hold("b", 0.6, None, site=site(10), **{names.BACKEND_PID: 101})
    scene.span("b", "update", "app", 0.7, None, kind="client", name="UPDATE t", **DB)
    scene.wait(
        "pg-b", 0.75 + skew_s, None, "db.lock:t#100", instance="pg", **{names.BACKEND_PID: 101}
    )
    queue(scene, start_s=6)


@pytest.mark.parametrize("skew_s", [-0.05, 0.0, 0.05])
@pytest.mark.parametrize(
    ("peer", "cause"), [(LLM, "B3"), ({names.SERVER_ADDRESS: "mem0"}, "D1")], ids=["llm", "http"]
)
def test_whoever_has_a_row_and_waits_for_somebody_else_passes_the_blame_on(peer, cause, skew_s):
    scene = Scene(until_s=30)
    lock_chain(scene, peer, skew_s)

    finding = only(scene).finding

    assert finding.cause == cause
    assert str(finding.site) == "service/publisher.py:48"


def test_the_lock_of_a_session_that_was_passed_on_is_split_among_those_who_had_it():
    scene = Scene(until_s=30)
    for n, (start_s, end_s) in enumerate([(0, 20), (20, None)]):
        scene.app(f"user{n}", start_s, end_s)
        scene.hold(f"user{n}", start_s, end_s, site=site(10), **{names.BACKEND_PID: 100})
        scene.span(f"user{n}", "llm", "app", start_s, end_s, kind="client", name="chat", **LLM)
    scene.hold("pg", 0, None, "db.lock:t#100", instance="pg", **{names.BACKEND_PID: 100})
    for n in range(4):
        who = f"victim{n}"
        scene.gateway(who, 21, 26)
        scene.app(who, 21, None)
        scene.hold(who, 21, None, site=site(10), **{names.BACKEND_PID: 101 + n})
        scene.span(who, "update", "app", 21, None, kind="client", name="UPDATE t", **DB)
        scene.wait(
            f"pg{n}", 21, None, "db.lock:t#100", instance="pg", **{names.BACKEND_PID: 101 + n}
        )

    incident = only(scene)

    assert incident.finding.cause == "B3"
    assert hexid("user1", 32) in incident.blames[0].trace_ids
    assert hexid("user0", 32) not in incident.blames[0].trace_ids


def test_a_lock_whose_waiter_nobody_can_tell_leaves_a_slow_statement_unnamed():
    scene = Scene(until_s=30)
    for n in range(4):
        scene.gateway(f"victim{n}", 0, 5)
        scene.app(f"victim{n}", 0, None)
        scene.hold(f"victim{n}", 0.1, None, site=site(10))  # a driver that tells no pid
        scene.span(f"victim{n}", "update", "app", 0.1, None, kind="client", name="UPDATE t", **DB)
    scene.wait("pg", 0.2, None, "db.lock:t#77", instance="pg", **{names.BACKEND_PID: 555})
    scene.hold("pg", 0, None, "db.lock:t#77", instance="pg", **{names.BACKEND_PID: 77})

    assert only(scene).finding.cause == "UNKNOWN"


def test_a_pid_that_two_servers_use_joins_nobody():
    scene = Scene(until_s=30)
    for n in range(2):
        scene.gateway(f"victim{n}", 0, 5)
        scene.app(f"victim{n}", 0, None)
        scene.hold(f"victim{n}", 0.1, None, f"db.pool:{n}", **{names.BACKEND_PID: 100})
    scene.wait("pg", 0.2, None, "db.lock:t#77", instance="pg", **{names.BACKEND_PID: 100})
    scene.hold("pg", 0, None, "db.lock:t#77", instance="pg", **{names.BACKEND_PID: 77})

    assert only(scene).finding.cause == "UNKNOWN"


def test_a_lock_is_laid_over_the_statement_and_over_nothing_else():
    scene = Scene(until_s=30)
    scene.gateway("victim", 0, 5)
    scene.app("victim", 0, None)
    scene.hold("victim", 0, None, **{names.BACKEND_PID: 100})
    scene.span("victim", "update", "app", 0, 1, kind="client", name="UPDATE t", **DB)
    scene.span("victim", "llm", "app", 1, None, kind="client", name="chat", site=site(48), **LLM)
    scene.wait("pg", 0.1, 3, "db.lock:t#77", instance="pg", **{names.BACKEND_PID: 100})
    scene.hold("pg", 0, None, "db.lock:t#77", instance="pg", **{names.BACKEND_PID: 77})

    incident = only(scene)

    assert incident.finding.cause == "B3"
    assert incident.finding.confidence == pytest.approx(0.8, abs=0.01)


# --- more than one cause, many small ones ---------------------------------------------------------


def test_many_short_statements_are_not_one_long_query():
    scene = Scene(until_s=30)
    scene.gateway("victim", 0, 5)
    scene.app("victim", 0, None)
    for n in range(100):
        scene.span(
            "victim", f"select{n}", "app", n * 0.05, n * 0.05 + 0.05, kind="client",
            name="SELECT x", **DB,
        )  # fmt: skip

    assert only(scene).finding.cause == "A2c"


def test_what_is_neither_brief_nor_long_is_not_said_to_outlast_the_gateway():
    scene = Scene(until_s=40)
    for n in range(20):
        scene.app(f"h{n}", n, n + 1.5)
        scene.hold(f"h{n}", n, n + 1.5, site=site(10))
        scene.span(f"h{n}", "select", "app", n, n + 1.5, kind="client", name="SELECT x", **DB)
    queue(scene, start_s=6)

    assert only(scene).finding.cause == "UNKNOWN"


def test_own_code_that_no_cause_explains_outweighs_a_smaller_cause():
    scene = Scene(until_s=30)
    for n in range(10):
        scene.gateway(f"victim{n}", 0, 5)
        scene.app(f"victim{n}", 0, None)
        if n < 4:
            scene.span(f"victim{n}", "llm", "app", 0, None, kind="client", name="chat", **LLM)

    finding = only(scene).finding

    assert finding.cause == "UNKNOWN"
    assert "B3" in finding.evidence_against[0]


def test_of_a_leak_and_a_slow_query_the_greater_is_named_with_its_share():
    scene = Scene(until_s=30)
    scene.locks_watched(0, 60)
    for n in range(2):
        scene.app(f"leaker{n}", 0, 0.2)
        scene.hold(f"leaker{n}", 0.1, None, site=site(33))
    scene.app("slow", 0, None)
    scene.hold("slow", 0.1, None, site=site(10))
    scene.span("slow", "select", "app", 0.2, None, kind="client", name="SELECT x", **DB)
    queue(scene)

    finding = only(scene).finding

    assert finding.cause == "A1a"
    assert "(67% of the lost time)" in finding.sentence
    assert "33% of the lost time rests on database SELECT x (A2a)" in finding.evidence_against


def test_two_pools_in_a_ring_are_a_deadlock_told_without_more_seconds_than_were_lost():
    scene = Scene(until_s=30)
    for n in range(2):
        scene.gateway(f"nested{n}", 0, 5)
        scene.app(f"nested{n}", 0, None)
        scene.hold(f"nested{n}", 0, None, f"db.pool:{n}")
        scene.wait(f"nested{n}", 0.1, None, f"db.pool:{1 - n}")

    incident = only(scene)

    assert incident.finding.cause == "A1c"
    assert "same pool" not in incident.finding.sentence
    assert all(link.seconds <= incident.blame_in_s + 1e-9 for link in incident.finding.chain)


def test_victims_are_counted_by_the_line_where_their_time_rests():
    scene = Scene(until_s=40)
    scene.stall("one", 0, 6, site(1))
    scene.gateway("first", 0.5, 5.5)
    scene.stall("two", 10, 16, site(2))
    scene.gateway("second", 10.5, 15.5)

    incident = only(scene)

    assert [blame.victims for blame in incident.blames] == [1, 1]


# --- victims --------------------------------------------------------------------------------------


def test_a_quick_504_of_the_applications_own_makes_no_victims_of_impatient_clients():
    scene = Scene(until_s=30)
    scene.gateway("own", 0, 0.05)
    for n in range(4):
        scene.gateway(f"late{n}", 0, 5)
        scene.gateway(f"impatient{n}", 0, 0.5, status=499)

    assert len(only(scene).victims) == 5


def test_a_span_stored_twice_is_one_victim():
    scene = Scene(until_s=30)
    scene.gateway("victim", 0, 5)
    scene.app("victim", 0, None)
    scene.span("victim", "inner", "app", 0.1, None)
    scene.spans *= 2

    assert len(only(scene).victims) == 1


def test_behind_a_chain_of_gateways_a_request_is_one_victim():
    scene = Scene(until_s=30)
    scene.gateway("victim", 0, 5)
    inner = replace(
        scene.spans[0], span_id=hexid("inner", 16), parent_id=scene.spans[0].span_id,
        instance="gw-2", start_ns=at(0.01),
    )  # fmt: skip
    scene.spans.append(inner)

    assert len(only(scene).victims) == 1


def test_a_504_that_took_no_time_lost_none():
    scene = Scene(until_s=30)
    scene.gateway("instant", 3, 3)

    assert explain(scene.evidence()) == []


def test_a_health_check_that_timed_out_is_a_victim_like_any_other():
    scene = Scene(until_s=30)
    scene.app("leaker", 0, 0.2)
    scene.hold("leaker", 0.1, None, site=site(33))
    scene.gateway("health", 5, 10)
    scene.app("health", 5, None, "/v1/health")
    scene.wait("health", 5.1, None)

    assert only(scene).finding.cause == "A1a"


def test_a_route_is_not_guessed_where_the_gateways_name_stands_for_several():
    scene = Scene(until_s=30)
    for n in range(2):
        scene.gateway(f"seen{n}", 0, 0.1, status=200)
        scene.app(f"seen{n}", 0, 0.1, f"/v1/route{n}")
    scene.gateway("unseen", 0, 5)

    assert only(scene).victims[0].route == "POST /v1/x"


# --- garbage --------------------------------------------------------------------------------------


@pytest.mark.parametrize("instances", [(APP, APP), (APP, "app-2")], ids=["inside", "across"])
def test_parents_in_a_ring_end_in_an_answer(instances):
    scene = Scene(until_s=30)
    scene.gateway("victim", 0, 5)
    scene.span("victim", "one", "two", 0, None, instance=instances[0])
    scene.span("victim", "two", "one", 0, None, instance=instances[1])
    scene.span("victim", "self", "self", 0, None, kind="server")
    for n, part in enumerate(("one", "two", "self")):
        scene.hold("victim", n * 1e-6, None, part=part)
    queue(scene)

    assert only(scene).finding.cause == "UNKNOWN"


def test_a_gateway_called_by_what_it_calls_ends_in_an_answer():
    scene = Scene(until_s=30)
    scene.gateway("victim", 0, 5)
    scene.app("victim", 0, None)
    scene.spans[0] = replace(scene.spans[0], parent_id=scene.spans[1].span_id)

    assert only(scene).finding.cause == "UNKNOWN"


def test_what_ends_before_it_begins_is_passed_over():
    scene = Scene(until_s=30)
    scene.gateway("victim", 0, 5)
    scene.app("victim", 2, 1)
    scene.span("victim", "inner", "app", 3, 2)
    scene.wait("victim", 3, 2)
    scene.hold("victim", 3, 2)
    scene.stall("victim", 3, 2, site(1))

    assert only(scene).finding.cause == "UNKNOWN"


@pytest.mark.parametrize("skew_s", [-0.05, -0.005, 0.005, 0.05])
def test_clocks_that_are_a_little_apart_change_no_answer(skew_s):
    scene = Scene(until_s=30)
    scene.app("leaker", 0, 0.2)
    scene.hold("leaker", 0.1, None, site=Site("app.py", 3, "leak"))
    queue(scene)
    scene.spans = [
        replace(s, start_ns=s.start_ns + at(skew_s) - at(0), end_ns=s.end_ns and s.end_ns)
        if s.service != names.GATEWAY_SERVICE
        else s
        for s in scene.spans
    ]

    incident = only(scene)

    assert incident.finding.cause == "A1a"
    assert incident.finding.confidence > 0.97


# --- size -----------------------------------------------------------------------------------------


@pytest.mark.timeout(60)
def test_a_loop_that_stalls_all_the_time_costs_no_more_than_its_stalls():
    scene = Scene(until_s=700)
    scene.stall("long", 0, 600, site(1), instance="app-2", **{names.SERVER_PORT: 8000})
    for n in range(6_000):
        scene.stall(f"s{n}", n * 0.1, n * 0.1 + 0.08, site(1))
    for n in range(300):
        scene.gateway(f"victim{n}", n * 2, n * 2 + 5)
        scene.app(f"victim{n}", n * 2, None)

    assert only(scene).finding.cause == "B1"


@pytest.mark.timeout(60)
def test_a_hundred_thousand_spans_deep_and_wide_in_one_trace():
    scene = Scene(until_s=60)
    scene.gateway("victim", 0, 5)
    scene.app("victim", 0, None)
    for n in range(50_000):
        scene.span("victim", f"deep{n}", f"deep{n - 1}" if n else "app", 0, None)
        scene.span("victim", f"wide{n}", "never-told", n * 1e-4, n * 1e-4 + 5e-5)

    assert only(scene).finding.cause == "UNKNOWN"
