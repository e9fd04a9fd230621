"""The sweeps over buckets, beside loops over every item and every moment."""

from __future__ import annotations

import numpy as np
import pytest
from evidence_by_hand import T0, S

from why504.diagnose.course.buckets import MOST, Buckets
from why504.model import Window


def over(seconds: float) -> Buckets:
    return Buckets(Window(T0, T0 + round(seconds * S)))


@pytest.mark.parametrize(
    ("seconds", "bucket_s", "number"),
    [
        (1, 1, 1),
        (25.5, 1, 25),
        (240, 1, 240),
        (240.5, 2, 120),
        (1800, 10, 180),
        (86_400, 600, 144),
    ],
)
def test_a_bucket_is_as_short_as_240_of_them_allow(seconds, bucket_s, number):
    buckets = over(seconds)

    assert (buckets.bucket_ns / S, len(buckets)) == (bucket_s, number)
    assert buckets.lengths_s.sum() == pytest.approx(seconds)


@pytest.mark.parametrize("seconds", [400 * 86_400.0, 290 * 365 * 86_400.0])
def test_centuries_are_no_more_buckets(seconds):
    assert len(over(seconds)) <= MOST


@pytest.mark.parametrize("end_ns", [T0, T0 - 5 * S])
def test_an_empty_window_is_one_second(end_ns):
    buckets = Buckets(Window(T0, end_ns))

    assert (len(buckets), buckets.edges_s.tolist()) == (1, [0.0, 1.0])


def test_times_beyond_64_bits_are_only_outside():
    buckets = over(10)
    at_s = buckets.seconds([2**70, -(2**70), T0 + S])

    assert buckets.rate(at_s, np.ones(3)).tolist() == [0, 1, *([0] * 8)]


def test_what_is_left_over_belongs_to_the_last_bucket():
    buckets = over(2.5)

    assert buckets.edges_s.tolist() == [0, 1, 2.5]
    assert buckets.rate(np.array([0.5, 2.5]), np.array([1.0, 3.0])).tolist() == [1, 2]


def test_what_begins_as_another_ends_is_not_two_at_once():
    buckets = over(3)

    most = buckets.most(np.array([0.0, 1.5]), np.array([1.5, 3.0]), np.ones(2))

    assert most.tolist() == [1, 1, 1]


def test_the_worst_moment_of_a_bucket_counts_also_if_it_was_over_at_its_edges():
    buckets = over(3)

    most = buckets.most(np.array([1.2, 1.3]), np.array([1.5, 1.4]), np.array([1.0, 4.0]))

    assert most.tolist() == [0, 5, 0]


def test_sweeps_agree_with_loops():
    numbers = np.random.default_rng(504)
    buckets = over(20)
    start_s = numbers.uniform(-5, 22, 300).round(2)
    end_s = start_s + numbers.exponential(2, 300).round(2)
    weight = numbers.integers(1, 4, 300).astype(float)
    moments_s = np.arange(0, 20, 0.005)
    present = np.array([weight[(start_s <= at) & (at < end_s)].sum() for at in moments_s])

    most, filled = (measure(start_s, end_s, weight) for measure in (buckets.most, buckets.filled))

    assert most.tolist() == [present[at : at + 200].max() for at in range(0, 4000, 200)]
    looped = [present[at : at + 200].mean() for at in range(0, 4000, 200)]
    assert filled.tolist() == pytest.approx(looped, rel=0.01)


def test_what_was_told_last_counts_for_as_long_as_was_asked():
    buckets = over(8)

    lasting = buckets.lasting(np.array([1.5, 5.2]), np.array([7.0, 9.0]), for_s=2.0)

    expected = [np.nan, 7, 7, 7, np.nan, 9, 9, 9]
    assert lasting.tolist() == pytest.approx(expected, nan_ok=True)
