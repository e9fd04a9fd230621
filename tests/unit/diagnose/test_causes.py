"""Each cause by its own evidence and by its nearest confusion: one change, another answer."""

from __future__ import annotations

import dataclasses

import pytest
from evidence_by_hand import Scene, at, site

from why504 import names
from why504.diagnose import explain
from why504.model import Incident

DB = {names.DB_SYSTEM: "postgresql"}
LLM = {names.GEN_AI_PROVIDER: "groq"}
HTTP = {names.SERVER_ADDRESS: "api.mem0.ai"}
VICTIMS = 10
GATEWAY_S = 4.0


def only(scene: Scene) -> Incident:
    (incident,) = explain(scene.evidence())
    assert incident.blame_in_s == pytest.approx(incident.blame_out_s, abs=1e-6)
    return incident


def victims(scene: Scene, app_end_s: float | None = None, route: str = "/v1/x") -> list[str]:
    """Ten requests that the gateway gave up on; the application may have answered later."""
    found = []
    for n in range(VICTIMS):
        start_s = 10 + n * 0.2
        scene.gateway(f"v{n}", start_s, start_s + GATEWAY_S)
        end_s = None if app_end_s is None else start_s + app_end_s
        scene.app(f"v{n}", start_s, end_s, route)
        found.append(f"v{n}")
    return found


def call(scene: Scene, who: str, start_s: float, end_s: float | None, part="call", **told) -> None:
    scene.span(who, part, "app", start_s, end_s, kind="client", **told)


# --- B2: refused by the LLM -----------------------------------------------------------------------


def refusals(scene: Scene, status: int, **peer) -> None:
    """Each victim tries three times, 50 ms each, and pauses in between."""
    for n, who in enumerate(victims(scene)):
        at_s = 10 + n * 0.2
        for attempt in range(3):
            begin_s = at_s + attempt * 2.0
            call(
                scene, who, begin_s, begin_s + 0.05, f"try{attempt}",
                name="POST", **{names.HTTP_STATUS: status}, **peer,
            )  # fmt: skip


def test_pauses_after_429_are_the_llms_refusal_not_its_slowness():
    scene = Scene(until_s=40)
    refusals(scene, 429, **LLM)

    finding = only(scene).finding

    assert (finding.cause, finding.mechanism) == ("B2", "none")
    assert "429" in finding.sentence


def test_pauses_after_500_are_an_llm_that_is_down():
    scene = Scene(until_s=40)
    refusals(scene, 500, **LLM)

    assert only(scene).finding.cause == "B3"


def test_pauses_after_503_of_another_api_are_that_api():
    scene = Scene(until_s=40)
    refusals(scene, 503, **HTTP)

    assert only(scene).finding.cause == "D1"


def test_a_pause_that_the_probe_tells_needs_no_second_attempt():
    scene = Scene(until_s=40)
    for n, who in enumerate(victims(scene)):
        told = {names.BACKOFF_STATUS: 429}
        scene.wait(who, 10.1 + n * 0.2, None, names.backoff("groq"), **told)

    assert only(scene).finding.cause == "B2"


def test_a_retry_that_sleeps_on_the_loop_is_the_refusal_by_way_of_the_loop():
    scene = Scene(until_s=40)
    stack = 'File "/venv/groq/_base_client.py", line 1056, in _sleep_for_retry\n'
    call(scene, "blocker", 9, 9.1, **LLM, **{names.HTTP_STATUS: 429})
    scene.app("blocker", 9, None)
    scene.stall("blocker", 9.1, 30, site(12), stack=stack)
    victims(scene)

    finding = only(scene).finding

    assert (finding.cause, finding.mechanism) == ("B2", "loop")


def test_a_refusal_that_holds_a_connection_comes_by_way_of_the_pool():
    scene = Scene(until_s=40)
    scene.app("holder", 5, None)
    scene.hold("holder", 5, None, site=site(33))
    for attempt in range(4):
        begin_s = 5 + attempt * 8
        call(
            scene,
            "holder",
            begin_s,
            begin_s + 0.1,
            f"t{attempt}",
            **LLM,
            **{"http.status_code": 429},
        )
    for n, who in enumerate(victims(scene)):
        scene.wait(who, 10.01 + n * 0.2, None)

    finding = only(scene).finding

    assert (finding.cause, finding.mechanism) == ("B2", "pool")


# --- C1, E1: the process itself lacks something ---------------------------------------------------


def stalled(scene: Scene, cpu_s: float) -> None:
    scene.app("blocker", 9, None)
    told = {names.STALL_CPU_S: cpu_s, names.STALL_PROGRESSING: True}
    scene.stall("blocker", 9.5, 16, site(77), **told)
    victims(scene)


@pytest.mark.parametrize(
    ("vitals", "cause"),
    [
        ({"cpu_s": 6, "delay_s": 0.2, "gc_s": 4.5}, "C1"),
        ({"cpu_s": 6, "delay_s": 0.2, "gc_s": 0.3}, "A3"),
        ({"cpu_s": 4.3, "delay_s": 2.0, "gc_s": 0.2}, "A3"),
        ({"cpu_s": 8.5, "delay_s": 40, "gc_s": 0.1}, "A3"),
        ({"cpu_s": 0.9, "delay_s": 11, "gc_s": 0.1}, "E1"),
        ({"cpu_s": 0.9, "throttled_s": 9, "gc_s": 0.1}, "E1"),
        ({"cpu_s": 1, "faults": 9000, "rss": 95, "limit": 100}, "C1"),
        ({"cpu_s": 0.1, "delay_s": 0.3}, "B1"),
        ({"cpu_s": 0.2, "delay_s": 0.3, "gc_s": 0.1}, "B1"),
    ],
    ids=[
        "collects",
        "computes",
        "computes beside others",
        "many threads, one core",
        "no core",
        "quota",
        "swaps",
        "waits",
        "waits, and collects for half of what it computes",
    ],
)
def test_what_the_process_lacked_tells_causes_of_a_stall_apart(vitals, cause):
    scene = Scene(until_s=40)
    stalled(scene, cpu_s=min(6.5, vitals["cpu_s"]))
    scene.told_of_itself(8, 18, **vitals)

    finding = only(scene).finding

    assert (finding.cause, finding.mechanism) == (cause, "loop")


@pytest.mark.parametrize(
    ("cpu_s", "gc_s", "cause"), [(7.9, 6.0, "C1"), (7.9, 0.3, "A3"), (0.2, 0.1, "B1")]
)
def test_a_stall_tells_of_collections_where_the_process_could_tell_nothing(cpu_s, gc_s, cause):
    scene = Scene(until_s=40)
    stalled(scene, cpu_s)
    scene.stalls = [
        dataclasses.replace(one, attributes={**one.attributes, names.GC_CPU_S: gc_s})
        for one in scene.stalls
    ]

    assert only(scene).finding.cause == cause


def test_vitals_of_another_process_say_nothing():
    scene = Scene(until_s=40)
    stalled(scene, cpu_s=6.4)
    scene.told_of_itself(8, 18, cpu_s=1, delay_s=11)
    scene.vitals = [dataclasses.replace(v, instance="app-2") for v in scene.vitals]

    assert only(scene).finding.cause == "A3"


@pytest.mark.parametrize(
    ("vitals", "cause"),
    [
        ({"cpu_s": 0.9, "delay_s": 9}, "E1"),
        ({"cpu_s": 3}, "UNKNOWN"),
        ({"cpu_s": 1.8, "delay_s": 2.2}, "UNKNOWN"),
    ],
    ids=["no core", "computes", "rests most of the time, beside neighbours"],
)
def test_requests_that_a_starved_process_did_not_take_up_are_its(vitals, cause):
    scene = Scene(until_s=40)
    scene.app("seen", 1, 2)
    for n in range(VICTIMS):
        scene.gateway(f"v{n}", 10, 14)
    scene.told_of_itself(9, 19, **vitals)

    incident = only(scene)

    assert incident.finding.cause == cause
    assert all(victim.explained == (cause == "E1") for victim in incident.victims)


# --- C2: threads ----------------------------------------------------------------------------------


def taken_threads(scene: Scene, threads: str = "threadpool", **held_by) -> None:
    for n in range(40):
        scene.app(f"h{n}", 5, None)
        scene.hold(f"h{n}", 5, None, threads, site=site(51, "app/legacy.py"))
        if held_by:
            call(scene, f"h{n}", 5, None, **held_by)
    for n, who in enumerate(victims(scene)):
        scene.wait(who, 10.01 + n * 0.2, None, threads)


def test_blocking_work_in_all_threads_of_an_executor_is_told_with_the_executors_name():
    scene = Scene(until_s=40)
    taken_threads(scene, "threadpool:asyncio")

    finding = only(scene).finding

    assert (finding.cause, finding.mechanism) == ("C2", "limiter")
    assert "waiting for a thread of the executor asyncio" in str(finding.chain)


def test_blocking_work_in_all_threads_is_a_limiter_that_is_full():
    scene = Scene(until_s=40)
    taken_threads(scene)

    finding = only(scene).finding

    assert (finding.cause, finding.mechanism) == ("C2", "limiter")
    assert str(finding.site) == "app/legacy.py:51"


@pytest.mark.parametrize("waiters", [1, 8, 100])
def test_threads_that_are_all_taken_are_a_full_limiter_however_few_wait_for_one(waiters):
    scene = Scene(until_s=25)
    for n in range(40):
        scene.app(f"h{n}", 5, None)
        scene.span(f"h{n}", "work", "app", 5, None, site=site(51, "app/legacy.py"))
        scene.hold(f"h{n}", 5, None, names.THREADPOOL, site=site(9, "app/legacy.py"))
    for n in range(waiters):
        scene.app(f"w{n}", 6, None, "/v1/other")
        scene.wait(f"w{n}", 6, None, names.THREADPOOL)

    (incident,) = explain(scene.evidence(), slower_than_s=1.0)
    finding = incident.finding

    assert (finding.cause, finding.mechanism) == ("C2", "limiter")
    assert str(finding.site) == "app/legacy.py:51"
    assert any("threadpool" in link.what for link in finding.chain)


def test_a_short_queue_for_threads_is_not_what_their_work_is_about():
    scene = Scene(until_s=25)
    for n in range(40):
        scene.app(f"h{n}", 5, None)
        scene.span(f"h{n}", "work", "app", 5, None, site=site(51, "app/legacy.py"))
        scene.hold(f"h{n}", 5, None, names.THREADPOOL, site=site(9, "app/legacy.py"))
    scene.app("w", 23, None, "/v1/other")
    scene.wait("w", 23, None, names.THREADPOOL)

    (incident,) = explain(scene.evidence(), slower_than_s=1.0)

    assert incident.finding.cause == "UNKNOWN"


def test_pools_of_replicas_count_as_one_resource():
    scene = Scene(until_s=40)
    for n in range(8):
        instance = {"instance": f"app-{n}"}
        scene.app(f"h{n}", 5, None, **instance)
        scene.hold(f"h{n}", 5, None, "threadpool", site=site(51, "app/legacy.py"), **instance)
        scene.gateway(f"w{n}", 10, 14)
        scene.app(f"w{n}", 10, None, **instance)
        scene.wait(f"w{n}", 10, None, "threadpool", **instance)

    finding = only(scene).finding

    assert (finding.cause, finding.mechanism) == ("C2", "limiter")


def test_threads_that_all_wait_for_an_llm_are_the_llm_by_way_of_the_limiter():
    scene = Scene(until_s=40)
    taken_threads(scene, **LLM)

    finding = only(scene).finding

    assert (finding.cause, finding.mechanism) == ("B3", "limiter")


@pytest.mark.parametrize(("cores_each", "cause"), [(0.02, "A3"), (0.0, "C2")])
def test_threads_that_compute_are_told_from_threads_that_are_blocked(cores_each, cause):
    scene = Scene(until_s=40)
    taken_threads(scene)
    scene.told_of_itself(8, 38, cpu_s=27)
    for n in range(40):
        told = {names.THREAD_CPU_SHARE: cores_each}
        scene.span(f"h{n}", "work", "app", 5, None, site=site(51 + n % 3), **told)

    finding = only(scene).finding

    assert (finding.cause, finding.mechanism) == (cause, "limiter")
    assert str(finding.site) == "service/publisher.py:51"


@pytest.mark.parametrize(("wanted", "cause"), [(0.0, "C2"), (0.9, "E1")])
def test_threads_that_are_blocked_lack_no_core_while_their_process_does(wanted, cause):
    scene = Scene(until_s=40)
    taken_threads(scene)
    scene.told_of_itself(8, 38, cpu_s=4, delay_s=25)
    for n in range(40):
        told = {names.THREAD_CPU_SHARE: 0.0, names.THREAD_WANTED_SHARE: wanted}
        scene.span(f"h{n}", "work", "app", 5, None, site=site(51), **told)

    assert only(scene).finding.cause == cause


def computing(scene: Scene, cores: float, *, process_cores: float) -> None:
    """All victims together use so many cores, and are answered 2 s after the gateway gave up."""
    victims(scene, app_end_s=6)
    scene.told_of_itself(8, 18, cpu_s=process_cores * 10)
    for n in range(VICTIMS):
        told = {names.THREAD_CPU_SHARE: cores * 7.8 / 60}
        start_s = 10 + n * 0.2
        scene.hold(f"v{n}", start_s, start_s + 6, names.THREADPOOL)
        scene.span(f"v{n}", "work", "app", start_s, start_s + 6, site=site(7), **told)


@pytest.mark.parametrize(
    ("cores", "process_cores", "cause"),
    [(0.9, 0.95, "A3"), (0.35, 0.9, "A3"), (0.05, 0.9, "G1"), (0.1, 0.15, "G1")],
    ids=["computes", "computes beside others", "another computes", "nobody computes"],
)
def test_requests_that_compute_for_long_are_no_impatient_gateway(cores, process_cores, cause):
    scene = Scene(until_s=40)
    computing(scene, cores, process_cores=process_cores)

    finding = only(scene).finding

    assert (finding.cause, finding.mechanism) == (cause, "none" if cause == "A3" else "budget")


@pytest.mark.parametrize(("in_thread", "mechanism"), [(True, "none"), (False, "loop")])
def test_a_stall_of_the_loop_does_not_hold_up_what_runs_in_a_thread(in_thread, mechanism):
    scene = Scene(until_s=40)
    computing(scene, 0.9, process_cores=0.95)
    scene.stall("nobody", 10, 18, site(99, "uvicorn/server.py"), **{names.STALL_CPU_S: 7.6})
    if not in_thread:
        scene.holds = []

    finding = only(scene).finding

    assert (finding.cause, finding.mechanism) == ("A3", mechanism)


def test_threads_that_nobody_is_known_to_have_are_unknown():
    scene = Scene(until_s=40)
    taken_threads(scene)
    scene.holds = []

    assert only(scene).finding.cause == "UNKNOWN"


# --- B1: a loop that stands still until the end -------------------------------------------------


def threads_and_a_stall(stall_end_s: float | None, *, instance: str = "app-1") -> Incident:
    """Five requests wait in threads for what no row names; then one more blocks the loop."""
    scene = Scene(until_s=30)
    for n in range(5):
        scene.app(f"t{n}", 1, None)
        scene.span(f"t{n}", "work", "app", 1, None, site=site(5, "app/files.py"))
        scene.hold(f"t{n}", 1, None, names.THREADPOOL, site=site(4, "app/files.py"))
    scene.app("blocker", 10, stall_end_s, instance=instance)
    scene.stall("blocker", 10, stall_end_s, site(77), instance=instance)
    return next(iter(explain(scene.evidence(), slower_than_s=1.0)))


def test_a_loop_that_stands_still_to_the_end_is_the_answer_however_much_threads_lost():
    finding = threads_and_a_stall(None).finding

    assert (finding.cause, finding.mechanism) == ("B1", "loop")
    assert str(finding.site) == "service/publisher.py:77"
    assert any("stands still to the end" in line for line in finding.evidence_for)
    assert any("publish" in line for line in finding.evidence_against)


@pytest.mark.parametrize(
    ("end_s", "instance"), [(20, "app-1"), (None, "app-2")], ids=["over by then", "of another"]
)
def test_a_stall_that_most_time_was_not_lost_beside_is_outvoted(end_s, instance):
    assert threads_and_a_stall(end_s, instance=instance).finding.cause == "UNKNOWN"


# --- A2c: many queries ----------------------------------------------------------------------------


def test_many_queries_in_each_request_are_named_with_their_number():
    scene = Scene(until_s=40)
    scene.locks_watched(0, 40)
    for n, who in enumerate(victims(scene)):
        for query in range(200):
            begin_s = 10 + n * 0.2 + query * 0.025
            call(scene, who, begin_s, begin_s + 0.02, f"q{query}", name="SELECT guide", **DB)

    finding = only(scene).finding

    assert (finding.cause, finding.mechanism) == ("A2c", "none")
    assert "160 times in one request" in finding.sentence


# --- G1: limits that don't fit --------------------------------------------------------------------


def slow_calls(scene: Scene, usual_s: float | None, **told) -> None:
    if usual_s is not None:
        for n in range(5):
            scene.gateway(f"ok{n}", n, n + usual_s, status=200)
            scene.app(f"ok{n}", n, n + usual_s)
            call(scene, f"ok{n}", n, n + usual_s, name="chat", **told)
    for n, who in enumerate(victims(scene, app_end_s=5.0)):
        call(scene, who, 10 + n * 0.2, 15 + n * 0.2 - 0.01, name="chat", **told)


def test_calls_that_take_what_they_always_took_are_not_slow_the_gateway_is_impatient():
    scene = Scene(until_s=40)
    slow_calls(scene, usual_s=3.9, **LLM)

    finding = only(scene).finding

    assert (finding.cause, finding.mechanism) == ("G1", "budget")
    assert "100%" in " ".join(finding.evidence_for)


def test_calls_that_take_far_longer_than_before_are_slow():
    scene = Scene(until_s=40)
    slow_calls(scene, usual_s=0.2, **LLM)

    assert only(scene).finding.cause == "B3"


@pytest.mark.parametrize(("timeout", "cause"), [({names.CLIENT_TIMEOUT_S: 15.0}, "G1"), ({}, "B3")])
def test_without_a_past_it_counts_whether_the_call_had_a_limit(timeout, cause):
    scene = Scene(until_s=40)
    slow_calls(scene, usual_s=None, **LLM, **timeout)

    assert only(scene).finding.cause == cause


def test_what_a_killed_application_had_no_time_to_answer_says_nothing_against_it():
    scene = Scene(until_s=17)
    slow_calls(scene, usual_s=3.9, **LLM)
    for n in range(4):
        who = f"cut{n}"
        scene.gateway(who, 12.5 + n * 0.1, 16.5 + n * 0.1)
        scene.app(who, 12.5 + n * 0.1, None)
        call(scene, who, 12.5 + n * 0.1, None, name="chat", **LLM)

    assert only(scene).finding.cause == "G1"


def test_answers_that_were_lost_on_the_way_to_the_receiver_say_nothing_against_it():
    scene = Scene(until_s=40)
    slow_calls(scene, usual_s=3.9, **LLM)
    for n in range(4):
        who = f"lost{n}"
        scene.gateway(who, 12.5 + n * 0.1, 16.5 + n * 0.1)
        scene.app(who, 12.5 + n * 0.1, None)
        scene.spans[-1] = dataclasses.replace(scene.spans[-1], last_seen_ns=at(15.0))
        call(scene, who, 12.5 + n * 0.1, None, name="chat", **LLM)

    assert only(scene).finding.cause == "G1"


def test_an_application_that_never_answered_did_not_only_lack_time():
    scene = Scene(until_s=40)
    for n, who in enumerate(victims(scene)):
        call(scene, who, 10 + n * 0.2, None, name="chat", **LLM, **{names.CLIENT_TIMEOUT_S: 15.0})

    assert only(scene).finding.cause == "B3"


# --- G2: health checks ----------------------------------------------------------------------------


def test_a_check_that_waits_without_a_limit_of_its_own_is_named():
    scene = Scene(until_s=40)
    for n, who in enumerate(victims(scene, route="/v1/health")):
        call(scene, who, 10 + n * 0.2, None, name="PING", **{names.DB_SYSTEM: "redis"})

    finding = only(scene).finding

    assert finding.cause == "G2"
    assert "PING" in finding.sentence


def test_checks_among_other_victims_are_not_the_cause():
    scene = Scene(until_s=40)
    for n, who in enumerate(victims(scene)):
        call(scene, who, 10 + n * 0.2, None, name="GET", **HTTP)
    scene.gateway("check", 10, 14)
    scene.app("check", 10, None, "/v1/health")
    call(scene, "check", 10, None, name="GET", **HTTP)

    assert only(scene).finding.cause == "D1"


# --- peers by other conventions -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "cause"),
    [
        ({"http.url": "https://api.groq.com/openai/v1/chat/completions"}, "B3"),
        ({"url.full": "https://api.openai.com/v1/responses"}, "B3"),
        ({"gen_ai.system": "anthropic"}, "B3"),
        ({"server.address": "10.0.0.7", "url.path": "/openai/v1/chat/completions"}, "B3"),
        ({"http.url": "http://proxy:4000/v1/messages?beta=true"}, "B3"),
        ({"server.address": "10.0.0.7", "url.path": "/v1/messages/inbox"}, "D1"),
        ({"net.peer.name": "payments.internal"}, "D1"),
        ({"peer.service": "memory"}, "D1"),
        ({"db.system": "redis", "net.peer.name": "cache"}, "D1"),
        ({"messaging.system": "rabbitmq"}, "F1"),
    ],
)
def test_peers_are_known_by_old_and_new_conventions(told, cause):
    scene = Scene(until_s=40)
    for n, who in enumerate(victims(scene)):
        call(scene, who, 10 + n * 0.2, None, name="call", **told)

    assert only(scene).finding.cause == cause


def test_the_http_request_of_an_llm_call_is_that_call():
    scene = Scene(until_s=40)
    for n, who in enumerate(victims(scene)):
        begin_s = 10 + n * 0.2
        scene.span(who, "chat", "app", begin_s, None, kind="internal", **LLM)
        told = {names.SERVER_ADDRESS: "127.0.0.1"}
        scene.span(who, "post", "chat", begin_s, None, kind="client", **told)

    assert only(scene).finding.cause == "B3"
