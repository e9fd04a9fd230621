import math
import statistics

import pytest

from bench.probe.figures import (
    RefusedError,
    apart,
    believable,
    median,
    percentile,
    quartile,
    standard_error,
)


def test_a_percentile_is_a_value_that_was_measured():
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert [percentile(values, share) for share in (0, 0.2, 0.21, 0.99, 1)] == [1, 1, 2, 5, 5]


def test_of_a_thousand_the_last_thousandth_is_one_value():
    assert percentile([float(n) for n in range(1000)], 0.999) == 998


def test_quartile_and_median_pass_over_a_slow_stretch():
    values = [1.0] * 6 + [50.0] * 4
    assert (quartile(values), median(values)) == (1.0, 1.0)


def test_nothing_has_no_percentile():
    assert math.isnan(percentile([], 0.5))


def test_the_standard_error_of_a_mean_is_the_one_of_the_textbooks():
    values = [3.0, 5.0, 10.0, 2.0]
    without_each = [(sum(values) - value) / 3 for value in values]
    assert standard_error(without_each) == pytest.approx(statistics.stdev(values) / math.sqrt(4))


def test_apart_is_the_same_from_either_side():
    assert apart(100, 110) == pytest.approx(0.10) == apart(110, 100)


@pytest.mark.parametrize("figure", [0.0, -1.0, math.nan])
def test_what_is_no_time_is_infinitely_far_apart(figure):
    assert apart(figure, 1.0) == math.inf


def test_a_run_is_believed_up_to_a_tenth():
    believable("trivial", 100.0, 109.9)


@pytest.mark.parametrize(("one", "other"), [(100.0, 111.0), (111.0, 100.0), (math.nan, 100.0)])
def test_a_run_whose_a_and_a_are_further_apart_is_refused_and_says_so(one, other):
    with pytest.raises(RefusedError, match=r"trivial: A and A are .* at most 10% may be"):
        believable("trivial", one, other)
