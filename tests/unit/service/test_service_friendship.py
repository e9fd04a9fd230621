from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.friendship import (
    EMOTION_POINTS,
    FALLBACK_EMOTION,
    LEVELS,
    FriendshipStatus,
    SessionReading,
    level_of,
    score_after,
)

scores = st.floats(min_value=0, max_value=1e6)
readings = st.builds(
    SessionReading,
    st.sampled_from([*EMOTION_POINTS, "no such emotion"]),
    st.integers(-5, 10_000),
    st.booleans(),
)


@pytest.mark.parametrize(
    ("score", "level"),
    [(-1, 1), (0, 1), (99.999, 1), (100, 2), (499.999, 2), (500, 3), (1e9, 3)],
)
def test_a_level_begins_exactly_at_its_threshold(score, level):
    assert level_of(score) == FriendshipStatus("u", score).level == level


@given(scores, scores)
def test_a_higher_score_is_never_a_lower_level(one, other):
    low, high = sorted((one, other))

    assert level_of(low) <= level_of(high)


@given(scores, st.integers(-5, 10_000), readings)
def test_a_score_is_never_below_zero_and_its_points_lead_to_it(current, turns, reading):
    scored = score_after(current, turns=turns, reading=reading)

    assert scored.score >= 0
    assert scored.score == pytest.approx(current + scored.points)
    assert scored.level == level_of(scored.score)


@given(scores, st.integers(0, 100), st.integers(0, 100))
def test_a_fallback_keeps_the_score(current, turns, questions):
    reading = SessionReading(FALLBACK_EMOTION, questions, fallback=True)

    assert score_after(current, turns=turns, reading=reading).score == current


@given(scores, st.integers(0, 10_000), st.integers(0, 10_000), st.sampled_from([*EMOTION_POINTS]))
def test_one_conversation_can_not_buy_a_level_from_nothing(current, turns, questions, emotion):
    points = score_after(current, turns=turns, reading=SessionReading(emotion, questions)).points

    assert points < LEVELS[1][0]


def test_a_score_is_the_sum_of_its_table_rows():
    scored = score_after(100.0, turns=4, reading=SessionReading("joy", 2))

    assert (scored.score, scored.points, scored.level) == (115.0, 15.0, 2)


def test_the_fallback_emotion_is_worth_nothing():
    assert EMOTION_POINTS[FALLBACK_EMOTION] == 0
