import math

import pytest

from bench.probe.cost import HERE, JUDGED, WORKLOADS, Measured, Samples, judge
from bench.probe.figures import RefusedError
from bench.probe.variants import AGAIN, NOTHING, OURS, STOCK

BARE_US = 50.0


def measured(*, ours_us: float, again_us: float = BARE_US) -> Measured:
    """A run in which stock OpenTelemetry adds 400 us, with one slow round of four."""
    samples = Samples()
    samples.begin_cast(dict.fromkeys(JUDGED, 0))
    whole_us = {NOTHING: BARE_US, AGAIN: again_us, STOCK: BARE_US + 400, OURS: BARE_US + ours_us}
    for workload in WORKLOADS:
        for variant, us in whole_us.items():
            for number, slower in enumerate((1, 1, 1, 9)):
                used = {"total_s": us * slower * 100 / 1e6, "loop_s": us * slower * 50 / 1e6}
                received = 300 * (4 * WORKLOADS.index(workload) + number + 1)
                samples.note((variant, workload.name + HERE), used, 100, received)
    return Measured(samples, {}, [], False)


def test_what_a_variant_adds_is_told_beside_what_stock_adds():
    rows = {row.variant: row for row in measured(ours_us=40).tables()["trivial"]}
    assert rows[OURS].whole_us == pytest.approx(90)
    assert rows[OURS].added_us == pytest.approx(40)
    assert rows[OURS].loop_us == pytest.approx(20)
    assert rows[OURS].ratio == pytest.approx(0.1)
    assert rows[STOCK].ratio == pytest.approx(1)
    assert rows[OURS].spans == 3


def test_a_fifth_of_stock_passes_and_more_does_not():
    assert judge(measured(ours_us=79)).passed
    failed = [check.name for check in judge(measured(ours_us=81)).checks if not check.passed]
    assert len(failed) == 2
    assert all("trivial" in name or "stock" in name for name in failed)


def test_a_quarter_of_stock_is_allowed_with_three_queries():
    failed = {check.name for check in judge(measured(ours_us=101)).checks if not check.passed}
    assert "us added, three queries" in failed
    passed = {check.name for check in judge(measured(ours_us=99)).checks if check.passed}
    assert "us added, three queries" in passed


def test_a_run_is_refused_whatever_it_shows_if_nothing_differs_from_nothing():
    with pytest.raises(RefusedError):
        judge(measured(ours_us=40, again_us=BARE_US * 1.2))


def test_of_several_processes_of_a_variant_the_mean_counts():
    samples = Samples()
    for received, us in enumerate((100.0, 120.0)):
        samples.begin_cast({NOTHING: received, STOCK: received})
        for variant, more in ((NOTHING, 0.0), (STOCK, 400.0)):
            used = {"total_s": (us + more) / 1e6, "loop_s": us / 1e6}
            samples.note((variant, "trivial"), used, 1, received)

    rows = {row.variant: row.whole_us for row in samples.rows("trivial")}

    assert rows == pytest.approx({NOTHING: 110, STOCK: 510})


def test_what_a_variant_adds_is_added_to_both_measurements_of_nothing():
    rows = {
        row.variant: row for row in measured(ours_us=40, again_us=BARE_US + 2).tables()["trivial"]
    }
    assert rows[OURS].added_us == pytest.approx(39)
    assert (rows[NOTHING].added_us, rows[AGAIN].added_us) == pytest.approx((-1, 1))


def test_a_ratio_wavers_by_what_its_processes_do():
    samples = Samples()
    for received, ours_us in enumerate((100.0, 60.0, 80.0)):
        samples.begin_cast(dict.fromkeys(JUDGED, received))
        for variant, us in ((NOTHING, 0.0), (AGAIN, 0.0), (STOCK, 400.0), (OURS, ours_us)):
            samples.note((variant, "trivial"), {"total_s": us / 1e6, "loop_s": 0}, 1, received)

    assert samples.wavers(STOCK, "trivial") == 0
    assert samples.wavers(OURS, "trivial") == pytest.approx(20 / math.sqrt(3) / 400)


def test_a_workload_that_was_not_run_has_no_table():
    assert list(measured(ours_us=40).tables()) == [workload.name for workload in WORKLOADS]
