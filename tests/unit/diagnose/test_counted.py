"""504s by the gateway's counter, beside those that spans tell of."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.diagnose.evidence_by_hand import Scene, at
from why504.diagnose import explain
from why504.diagnose.counted import counted, unseen
from why504.measured import TIMEOUTS, Measured, Track
from why504.model import Window


def track(*values, since_s=-60.0, every_s=10.0, service="shop", instance="a:1"):
    times = [at(since_s + n * every_s) for n in range(len(values))]
    known = [(ns, value) for ns, value in zip(times, values, strict=True) if value is not None]
    return Track(
        TIMEOUTS, "", service, instance, [ns for ns, _ in known], [value for _, value in known]
    )


def told(*tracks, problems=()):
    return Measured("Prometheus at http://prometheus:9090", 5.0, tracks, problems)


MINUTE = Window(at(0), at(60))


def number(*tracks):
    found = counted(told(*tracks), MINUTE)
    return found and (found.number, found.whole)


def test_what_a_counter_grew_by_is_counted():
    assert number(track(*[5] * 7, *range(5, 12), *[12] * 6)) == (7, True)


def test_a_restart_begins_anew_at_0():
    assert number(track(*[100] * 8, 103, 2, 4, *[4] * 8)) == (3 + 2 + 2, True)


def test_a_gap_loses_nothing_and_what_was_there_before_is_not_counted():
    assert number(track(*[7] * 8, None, None, 19, *[19] * 8)) == (12, True)
    assert number(track(50, 51, since_s=20.0)) == (1, False)


def test_several_gateways_are_added_up_and_named():
    first = track(*[0] * 7, 1, 2, 3, *[3] * 8)
    other = track(*[0] * 7, 5, *[5] * 10, service="pay", instance="b:1")

    found = counted(told(first, other), MINUTE)

    assert (found.number, found.services) == (8, ["pay", "shop"])


def test_nothing_is_said_where_no_counter_was_read():
    assert counted(None, MINUTE) is None
    assert counted(told(), MINUTE) is None
    assert counted(told(track(0, 9, since_s=500.0)), MINUTE) is None


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=6), min_size=1, max_size=4))
def test_whatever_restarts_there_are_each_504_is_counted_once(lives):
    """Each life of the counter begins at 0 or at what it had when it was first read."""
    values, expected = [0] * 7, 0
    for life in lives:
        total = 0
        for more in life:
            total += more
            values.append(total)
        expected += total
        # What did not fall was no restart that anybody could see.
        values.append(0)
    window = Window(at(0), at(10 * len(values)))

    assert counted(told(track(*values)), window).number == expected


# --- beside spans --------------------------------------------------------------------------------


def hang(count=10):
    scene = Scene(60)
    for n in range(count):
        scene.gateway(f"victim {n}", n * 0.5, n * 0.5 + 5)
    return scene.evidence()


def explained(metrics, count=10):
    (incident,) = explain(replace(hang(count), measured=metrics))
    return incident, " ".join(incident.caveats)


def growing(total, **more):
    return track(*[0] * 7, total / 2, *[total] * 12, **more)


def test_counts_that_agree_need_no_caveat():
    incident, caveats = explained(told(growing(10)))

    assert incident.counted == 10
    assert "counter" not in caveats


def test_sampled_traces_are_told_from_a_counter_that_has_more():
    incident, caveats = explained(told(growing(950)))

    assert (incident.count, incident.counted) == (10, 950)
    assert "has 950 x 504" in caveats
    assert "spans tell of 10: traces were sampled" in caveats


def test_a_counter_that_has_fewer_is_said_not_to_be_read():
    _, caveats = explained(told(growing(2)))

    assert "only 2 of 10 x 504" in caveats
    assert "is not read" in caveats


def test_a_counter_that_came_late_is_said_to_be_no_whole():
    _, caveats = explained(told(track(0, 1, 1, since_s=7.0)))

    assert "not read all the time" in caveats


def test_metrics_never_change_the_verdict():
    (plain,) = explain(hang())
    for metrics in (told(growing(950)), told(problems=("can't reach Prometheus",)), told()):
        (incident,) = explain(replace(hang(), measured=metrics))
        assert replace(incident, caveats=(), counted=None) == replace(plain, caveats=())


def test_what_could_not_be_read_is_said():
    incident, caveats = explained(told(problems=("can't reach Prometheus: counts are of spans",)))

    assert incident.counted is None
    assert "can't reach Prometheus" in caveats


@pytest.mark.parametrize(("total", "says"), [(0, ""), (37, "37 x 504")])
def test_504s_without_any_span_are_told(total, says):
    nothing = replace(Scene(60).evidence(), window=MINUTE, measured=told(growing(total)))

    assert explain(nothing) == []
    assert says in unseen(nothing)
    assert bool(unseen(nothing)) == bool(total)
