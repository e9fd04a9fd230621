"""The time of an incident by metrics, where spans are a sample."""

from dataclasses import replace

import pytest
from evidence_by_hand import Scene, at

from why504 import measured as kinds
from why504.diagnose import explain
from why504.diagnose.timeline import timeline
from why504.measured import Measured, Track
from why504.model import Sample


def hang():
    scene = Scene(200)
    for n in range(10):
        scene.gateway(f"victim {n}", 60 + n, 120 + n)
        scene.app(f"victim {n}", 60 + n, 130 + n)
    return scene.evidence()


def track(kind, values, *, name="", service="shop", instance="a:1", every_s=10.0, since_s=0.0):
    told = [(since_s + n * every_s, v) for n, v in enumerate(values) if v is not None]
    times = [at(s) for s, _ in told]
    return Track(kind, name, service, instance, times, [float(v) for _, v in told])


def shown(*tracks, sample=True):
    evidence = hang()
    metrics = Measured("Prometheus at http://prometheus:9090", 10.0, tracks)
    whole = Sample({}, {}, 10) if sample else None
    evidence = replace(evidence, sample=whole, measured=metrics)
    (incident,) = explain(evidence)
    return timeline(evidence, incident)


def row(told, kind, name=None):
    (one,) = [s for s in told.series if s.kind == kind and (name is None or s.name == name)]
    return one


def near(told, one, seconds):
    place = (at(seconds) - told.window.start_ns) // told.bucket_ns
    return one.values[int(place)]


def test_504s_a_second_are_those_of_the_counter_also_over_a_restart():
    told = shown(track(kinds.TIMEOUTS, [0] * 12 + [40, 80, 5, 5, 5, 5, 5, 5, 5]))

    one = row(told, "timeouts")
    assert near(told, one, 115) == pytest.approx(4.0)
    assert near(told, one, 125) == pytest.approx(4.0)
    assert near(told, one, 135) == pytest.approx(0.5)
    assert near(told, one, 155) == 0
    lengths_s = told.bucket_ns / 1e9
    assert sum(v or 0 for v in one.values) * lengths_s == pytest.approx(85, rel=0.1)
    assert told.source


def test_what_was_read_whole_needs_no_metrics():
    told = shown(track(kinds.TIMEOUTS, [0] * 12 + [400] * 9), sample=False)

    assert told.source == ""
    assert max(v or 0 for v in row(told, "timeouts").values) <= 1


def test_processes_are_added_up_and_a_gap_is_one():
    told = shown(
        track(kinds.OPEN, [5] * 9 + [None] * 3 + [97] * 9),
        track(kinds.OPEN, [3] * 9 + [None] * 3 + [3] * 9, instance="b:1"),
    )

    one = row(told, "open")
    assert near(told, one, 65) == 8
    assert near(told, one, 95) is None
    assert near(told, one, 165) == 100


def test_pools_have_what_is_taken_of_how_many_and_who_waits():
    told = shown(
        *(track(kinds.IN_USE, [2] * 8 + [15] * 13, name="db.pool:main", instance=i)
          for i in ("a:1", "b:1")),
        *(track(kinds.CAPACITY, [15] * 21, name="db.pool:main", instance=i)
          for i in ("a:1", "b:1")),
        track(kinds.WAITING, [0] * 8 + [82] * 13, name="db.pool:main"),
        track(kinds.IN_USE, [1] * 21, name="threadpool"),
    )  # fmt: skip

    in_use = row(told, "pool_in_use", "db.pool:main")
    assert in_use.limit == 30
    assert near(told, in_use, 65) == 4
    assert near(told, in_use, 165) == 30
    assert near(told, row(told, "pool_waiting"), 165) == 82


def test_a_loop_stood_for_as_long_as_it_is_told_to_have():
    told = shown(track(kinds.STALL_S, [0] * 10 + [5, 15, 25, 0] + [0] * 7))

    one = row(told, "stalled")
    assert one.name == "loop:a:1"
    assert near(told, one, 90) == 0
    assert near(told, one, 105) == 1
    assert near(told, one, 125) == 0
    assert sum(v or 0 for v in one.values) * told.bucket_ns / 1e9 == pytest.approx(25, abs=2)


def test_another_service_s_metrics_are_left_out():
    service = hang().spans[-1].service
    told = shown(
        track(kinds.OPEN, [5] * 21, service=service), track(kinds.OPEN, [500] * 21, service="pay")
    )

    assert row(told, "open").most == 5


def test_a_process_that_took_the_place_of_another_is_a_start():
    told = shown(
        track(kinds.OPEN, [5] * 21),
        track(kinds.STARTED_S, [at(-500) / 1e9] * 9 + [at(95) / 1e9] * 12),
    )

    (moment,) = [m for m in told.moments if m.kind == "started"]
    assert moment.at_ns == pytest.approx(at(95), abs=1e6)
    assert moment.what == "shop, a:1"


def test_cores_memory_and_queues_stand_out_or_are_left_out():
    told = shown(
        track(kinds.CORES, [0.01] * 21, instance="idle:1"), track(kinds.CORES, [0.9] * 21),
        track(kinds.MEMORY, [7e8] * 21), track(kinds.MEMORY_LIMIT, [1e9] * 21),
        track(kinds.QUEUED, [0] * 10 + [1200] * 11, name="orders of /", instance="", service=""),
    )  # fmt: skip

    assert row(told, "cpu").name == "a:1"
    assert (row(told, "memory").most, row(told, "memory").limit) == (7e8, 1e9)
    assert row(told, "queued").name == "orders of /"
