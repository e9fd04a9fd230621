"""The time of an incident as series: what is counted, what is estimated, and what nobody told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from evidence_by_hand import APP, Scene, at, hexid, site

from why504 import names
from why504.diagnose import explain
from why504.diagnose.steps import Presence
from why504.diagnose.timeline import Series, Timeline, timeline
from why504.model import Evidence, Incident, Sample, Window

LINE = site(48)


def pool_hang(until_s: float = 60.0, **extra: object) -> Scene:
    """From second 20 on 4 requests wait for a pool of 2 until they time out at 30 s and later."""
    scene = Scene(until_s)
    scene.app("early", 5, 5.5)
    scene.gateway("early", 5, 5.6, status=200)
    for n in range(2):
        scene.app(f"holder{n}", 18 + n, None)
        scene.hold(f"holder{n}", 18 + n, None)
    for n in range(4):
        scene.gateway(f"v{n}", 20 + n, 30 + n)
        scene.app(f"v{n}", 20 + n, None)
        told = {names.POOL_CAPACITY: 2, names.POOL_IN_USE: 2, names.POOL_WAITING: n + 1}
        scene.wait(f"v{n}", 20 + n, None, **{**told, **extra})
    scene.told_of_itself(0, until_s, cpu_s=until_s / 4)
    return scene


def drawn(evidence: Evidence, incident: Incident | None = None) -> Timeline:
    return timeline(evidence, incident or explain(evidence)[0])


def of(told: Timeline, kind: str, name: str = "") -> Series:
    found = [one for one in told.series if (one.kind, one.name) == (kind, name)]
    assert len(found) == 1, [(one.kind, one.name) for one in told.series]
    return found[0]


def kinds(told: Timeline) -> list[tuple[str, str]]:
    return [(one.kind, one.name) for one in told.series]


def moments(told: Timeline) -> list[tuple[float, str, str]]:
    return [(round((m.at_ns - at(0)) / 1e9, 1), m.kind, m.what) for m in told.moments]


def nonzero(values: Sequence[float | None]) -> dict[int, float]:
    return {place: value for place, value in enumerate(values) if value}


def test_504s_requests_and_the_pool_are_told_bucket_by_bucket():
    told = drawn(replace(pool_hang().evidence(), heard_ns={APP: at(60), "gw-1": at(60)}))

    assert told.bucket_ns == 1_000_000_000
    assert told.window == Window(at(0), at(60))
    assert nonzero(of(told, "timeouts").values) == {30: 1, 31: 1, 32: 1, 33: 1}
    in_use = of(told, "pool_in_use", "db.pool:main")
    assert (in_use.limit, in_use.values[17:21]) == (2, [0, 1, 2, 2])
    assert of(told, "pool_waiting", "db.pool:main").values[19:25] == [0, 1, 2, 3, 4, 4]
    assert of(told, "open").values[19:24] == [2, 3, 4, 5, 6]


def test_where_nobody_told_there_is_nothing_not_zero():
    scene = Scene(until_s=60)
    scene.gateway("v", 20, 30)
    scene.stall("v", 20, 29, LINE)
    scene.told_of_itself(15, 35, cpu_s=2)
    evidence = replace(scene.evidence(), heard_ns={APP: at(35), "gw-1": at(32)})

    told = drawn(evidence)

    assert told.window == Window(at(15), at(35))
    assert of(told, "timeouts").values == [None] * 5 + [0] * 10 + [1] + [0] * 2 + [None] * 2
    assert of(told, "stalled", "loop:42").values[:15] == [0] * 5 + [1] * 9 + [0]
    assert None not in of(told, "stalled", "loop:42").values


def test_a_process_that_was_silent_for_a_while_told_nothing_of_it():
    scene = pool_hang()
    scene.vitals = []
    scene.spans = [span for span in scene.spans if span.service == names.GATEWAY_SERVICE]
    scene.holds, scene.waits = [], []
    scene.told_of_itself(0, 20, cpu_s=2)
    scene.told_of_itself(40, 60, cpu_s=2)
    scene.stall("x", 10, 12, LINE)

    told = drawn(scene.evidence())

    stalled = of(told, "stalled", "loop:42").values
    assert stalled[9:13] == [0, 1, 1, 0]
    assert stalled[22:39] == [None] * 17
    assert stalled[41:59] == [0] * 18


def test_requests_that_only_a_gateway_could_tell_of_are_not_missing_but_unknown():
    evidence = replace(pool_hang().evidence(), heard_ns={APP: at(60), "gw-1": at(34)})

    values = of(drawn(evidence), "open").values

    # Heard of at 34 s, and nobody is given up before 10 s: of 24 s everything is known.
    assert values[17:24] == [0, 1, 2, 3, 4, 5, 6]
    assert values[24:] == [None] * 36


def test_a_loop_that_stood_for_part_of_a_second_stood_for_that_share():
    scene = Scene(until_s=40)
    scene.gateway("v", 20, 30)
    scene.told_of_itself(0, 40, cpu_s=4)
    scene.stall("v", 20.25, 22.5, LINE)

    stalled = of(drawn(scene.evidence()), "stalled", "loop:42")

    assert nonzero(stalled.values) == pytest.approx({20: 0.75, 21: 1.0, 22: 0.5})


def test_a_failed_call_and_the_request_in_it_are_one_failure():
    scene = Scene(until_s=40)
    scene.gateway("v", 20, 30)
    scene.app("v", 20, 31)
    llm = {names.GEN_AI_PROVIDER: "groq", names.GEN_AI_OPERATION: "chat"}
    scene.span("v", "chat", "app", 21, 23.5, kind="client", **llm)
    for part, start_s, status in (("a", 21, 429), ("b", 22, 503), ("c", 23, 200)):
        http = {names.HTTP_STATUS: status, names.SERVER_ADDRESS: "api.groq.com"}
        scene.span("v", part, "chat", start_s, start_s + 0.4, kind="client", name="POST", **http)

    errors = of(drawn(scene.evidence()), "llm_errors", "LLM groq")

    assert nonzero(errors.values) == {1: 1, 2: 1}  # the axis begins with the request


def test_a_lock_is_told_by_its_table_whoever_heads_its_queue():
    scene = pool_hang()
    for n, pid in enumerate((7, 8)):
        lock = names.db_lock("friendship_status", pid)
        scene.wait(f"l{n}", 20, 25, lock, part="none", instance="pg")

    told = drawn(scene.evidence())

    assert nonzero(of(told, "pool_waiting", "db.lock:friendship_status").values) == dict.fromkeys(
        range(20, 25), 2
    )


def test_pools_of_alike_processes_are_added_up_if_all_are_full():
    scene = pool_hang()
    for n in range(4):
        told = {names.POOL_CAPACITY: 2, names.POOL_IN_USE: 2, names.POOL_WAITING: n + 1}
        scene.wait(f"w{n}", 20 + n, None, instance="app-2", **told)

    waiting = of(drawn(scene.evidence()), "pool_waiting", "db.pool:main")
    in_use = of(drawn(scene.evidence()), "pool_in_use", "db.pool:main")

    assert max(value or 0 for value in waiting.values) == 8
    assert (in_use.limit, in_use.values[25]) == (4, 2)


def test_the_only_process_whose_pool_is_full_is_shown_alone():
    scene = pool_hang()
    scene.hold("idle", 2, 3, instance="app-2")

    told = drawn(scene.evidence())

    assert of(told, "pool_in_use", "db.pool:main of process 42").limit == 2


def test_queues_are_told_by_the_broker_and_empty_where_it_names_others():
    scene = Scene(until_s=130)
    scene.gateway("v", 20, 30)
    for at_s, queues in ((10, ["orders of /: 12 ready, 3 unacknowledged, 2 consumers"]),
                         (40, ["mail of /: 1 ready, 0 unacknowledged, 1 consumer"])):  # fmt: skip
        scene.span(
            f"watch{at_s}", "w", "-", at_s - 2, at_s, name=names.BROKER_WATCHED, instance="mq",
            **{names.BROKER_QUEUES: queues},
        )  # fmt: skip

    told = drawn(scene.evidence())

    orders = of(told, "queued", "orders of /").values
    assert orders[:2] == [None, None]  # from second 8 on, when the first was told of
    assert orders[2:32] == [12] * 30
    assert orders[32:76] == [0] * 44
    assert orders[80:] == [None] * len(orders[80:])


def test_cores_are_averages_of_what_was_told():
    scene = Scene(until_s=40)
    scene.gateway("v", 20, 30)
    scene.told_of_itself(10, 20, cpu_s=5)
    scene.told_of_itself(20, 22, cpu_s=0.2)

    values = of(drawn(scene.evidence()), "cpu", "process 42").values

    assert values[:12] == pytest.approx([0.5] * 10 + [0.1] * 2)
    assert values[13:] == [None] * len(values[13:])


def sampled(scene: Scene, stands_for: float, holders: dict[str, Presence]) -> Evidence:
    weights = {hexid(f"v{n}", 32): stands_for for n in range(4)}
    return replace(scene.evidence(), sample=Sample(weights, holders, 1000))


def test_each_of_a_sample_stands_for_others_alike():
    told = drawn(sampled(pool_hang(), 10.0, {}))

    assert nonzero(of(told, "timeouts").values) == {30: 10, 31: 10, 32: 10, 33: 10}
    assert "open" not in [kind for kind, _ in kinds(told)]


def test_of_a_sample_what_waits_told_counts_for_more_than_estimates():
    told = drawn(sampled(pool_hang(), 10.0, {}))

    waiting = of(told, "pool_waiting", "db.pool:main").values
    assert waiting[20:24] == [1, 2, 3, 4]
    assert waiting[24] == 40


def test_of_a_sample_holders_are_known_of_all():
    present = Presence.of(np.array([at(21)] * 20), np.array([at(25)] * 20))
    scene = pool_hang(**{names.POOL_CAPACITY: 25, names.POOL_IN_USE: "many"})

    told = drawn(sampled(scene, 10.0, {f"db.pool:main of {APP}": present}))

    in_use = of(told, "pool_in_use", "db.pool:main").values
    assert in_use[20:26] == [0, 20, 20, 20, 20, 0]


def test_clocks_that_disagree_are_set_by_the_gateways():
    scene = pool_hang()
    for n in range(10):
        scene.gateway(f"ok{n}", 1 + n * 0.1, 1.06 + n * 0.1, status=200)
        scene.app(f"ok{n}", 1.01 + n * 0.1, 1.05 + n * 0.1)
    off = replace(
        (evidence := scene.evidence()),
        spans=[_later(one) for one in evidence.spans],
        waits=[_later(one) for one in evidence.waits],
        holds=[_later(one) for one in evidence.holds],
        vitals=[_later(one) for one in evidence.vitals],
        heard_ns={APP: at(60 + 7)},
    )

    told = drawn(off)

    start = round((told.window.start_ns - at(0)) / 1e9)
    waiting = of(told, "pool_waiting", "db.pool:main").values
    assert waiting[19 - start : 24 - start] == [0, 1, 2, 3, 4]


def _later(item):
    if item.service == names.GATEWAY_SERVICE:
        return item
    moved = {
        name: value + 7 * 10**9
        for name in ("start_ns", "end_ns", "last_seen_ns")
        if (value := getattr(item, name)) is not None
    }
    return replace(item, **moved)


# --- moments -------------------------------------------------------------------------------------


def lives(*told: tuple[str, float, float], until_s: float = 200) -> Evidence:
    """Processes that tell their vitals every 10 s, from when to when; a 504 meanwhile."""
    scene = Scene(until_s)
    scene.gateway("v", 90, 100)
    for instance, start_s, end_s in told:
        for begin_s in np.arange(start_s, end_s, 10):
            scene.told_of_itself(begin_s, min(begin_s + 10, end_s), cpu_s=1)
            scene.vitals[-1] = replace(
                scene.vitals[-1], instance=instance, resource=f"process:{instance[3:]}"
            )
    heard = {instance: at(end_s) for instance, _, end_s in told}
    return replace(scene.evidence(), heard_ns={**heard, "gw-1": at(until_s)})


def test_a_restart_is_two_moments():
    told = drawn(lives(("pid1", 0, 110), ("pid2", 113, 200)))

    assert moments(told) == [
        (110, "silent", "svc, process 1"),
        (113, "started", "svc, process 2"),
    ]


def test_processes_that_were_there_from_the_start_did_not_start():
    assert moments(drawn(lives(("pid1", 0, 200), ("pid2", 12, 200), ("pid3", 25, 200)))) == []


def test_a_process_more_is_a_moment():
    told = drawn(lives(("pid1", 0, 200), ("pid2", 120, 200)))

    assert moments(told) == [(120, "started", "svc, process 2")]


def test_a_process_that_was_killed_is_a_moment_though_none_follows():
    assert moments(drawn(lives(("pid1", 0, 200), ("pid2", 0, 100)))) == [
        (100, "silent", "svc, process 2")
    ]


def test_evidence_that_ends_is_no_silence():
    told = lives(("pid1", 0, 101), ("pid2", 0, 101))

    assert moments(drawn(replace(told, heard_ns={"pid1": at(101), "pid2": at(101)}))) == []


def test_many_that_start_together_are_one_moment():
    old = [(f"pid{n}", 0, 100) for n in range(30)]
    new = [(f"pid{n}", 101 + n / 100, 200) for n in range(30, 60)]

    found = moments(drawn(lives(*old, *new)))

    assert found == [
        (100, "silent", "svc, process 0 and 29 more"),
        (101.3, "started", "svc, process 30 and 29 more"),
    ]


def test_alarms_of_a_broker_begin_and_end():
    scene = pool_hang()
    for who, start_s, end_s, trouble in (("a", 19, 40, "memory"), ("b", 25, None, "silence")):
        scene.hold(
            who, start_s, end_s, names.broker("rabbit@x"), part="none", instance="mq",
            **{names.BROKER_TROUBLE: trouble},
        )  # fmt: skip

    told = drawn(scene.evidence())

    assert moments(told) == [
        (19, "alarm", "memory alarm of rabbit@x"),
        (25, "alarm", "management API of rabbit@x"),
        (40, "alarm_over", "memory alarm of rabbit@x"),
    ]
    assert not [name for _, name in kinds(told) if "broker" in name]


# --- hostile evidence ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", ["15", True, -1, math.nan, math.inf, [1, 2], "x" * 1_000_000], ids=lambda v: str(v)[:9]
)
def test_what_is_no_number_is_not_told(value):
    scene = pool_hang(**dict.fromkeys((names.POOL_CAPACITY, names.POOL_IN_USE), value))
    scene.vitals = []
    scene.told_of_itself(0, 60, cpu_s=value)

    told = drawn(scene.evidence())

    in_use = of(told, "pool_in_use", "db.pool:main")
    assert (in_use.limit, max(v or 0 for v in in_use.values)) == (None, 2)
    assert "cpu" not in [kind for kind, _ in kinds(told)]


@pytest.mark.parametrize(
    "queues", [["x" * 1_000_000], "a: 9 ready", 7, ["a: 9999999999999999999 ready"]]
)
def test_queues_that_are_none_are_not_told(queues):
    scene = pool_hang()
    told = {names.BROKER_QUEUES: queues}
    scene.span("w", "w", "-", 1, 2, name=names.BROKER_WATCHED, instance="mq", **told)

    assert "queued" not in [kind for kind, _ in kinds(drawn(scene.evidence()))]


def test_there_is_no_end_of_names_but_of_series():
    scene = pool_hang()
    for n in range(500):
        scene.wait(f"w{n}", 20, 25, f"db.pool:{n}")
        scene.hold(f"w{n}", 20, 25, f"db.pool:{n}")
        scene.stall(f"w{n}", 20, 25, LINE, instance=f"i{n}")
        llm = {names.GEN_AI_PROVIDER: f"p{n}", names.HTTP_STATUS: 429}
        scene.span(f"w{n}", "chat", "app", 21, 22, kind="client", **llm)

    told = drawn(scene.evidence())

    assert len(told.series) == 12
    assert told.series[0].kind == "timeouts"
    assert {"stalled", "llm_errors"} <= {kind for kind, _ in kinds(told)}


def test_ends_before_starts_and_times_far_away_do_no_harm():
    scene = pool_hang()
    scene.hold("odd", 30, 10)
    scene.wait("odd", 1e9, 2e9)
    scene.stall("odd", -1e9, -2e9, LINE)
    scene.gateway("odd", 40, 35)

    told = drawn(scene.evidence())

    assert told.window == Window(at(0), at(60))
    assert max(v or 0 for v in of(told, "pool_waiting", "db.pool:main").values) == 4


def test_an_incident_of_which_the_evidence_is_gone_still_has_its_504s():
    incident = explain(pool_hang().evidence())[0]

    told = drawn(Evidence(Window(at(0), at(60))), incident)

    assert kinds(told) == [("timeouts", "")]
    assert sum(v or 0 for v in told.series[0].values) == pytest.approx(4)
    assert told.moments == []


def test_a_long_window_has_as_many_buckets_as_a_short_one():
    scene = pool_hang(until_s=40)
    incident = explain(scene.evidence())[0]
    scene.gateway("late", 90_000, 90_001, status=200)
    evidence = replace(scene.evidence(), window=Window(at(0), at(100_000)))

    told = drawn(evidence, incident)

    assert told.bucket_ns == 600 * 10**9
    assert {len(one.values) for one in told.series} == {150}
