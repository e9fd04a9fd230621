from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.domain.friendship import (
    EMOTION_POINTS,
    FriendshipStatus,
    LedgerEntry,
    SessionReading,
    level_of,
    score_after,
)
from service.domain.ledger import LedgerTotals, agree, settled

quarters = st.integers(0, 40_000).map(lambda number: number / 4)
readings = st.builds(SessionReading, st.sampled_from([*EMOTION_POINTS]), st.integers(0, 12))
scorings = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 5), readings), max_size=15)


class Book:
    """A status and its ledger, written as the use case writes them."""

    def __init__(self, initial_score: float) -> None:
        metrics = {"music": 3}
        self.status = FriendshipStatus(
            "u",
            initial_score,
            metrics,
            initial_score=initial_score,
            initial_topic_metrics=metrics,
        )
        self.entries: dict[str, LedgerEntry] = {}

    def totals(self, without: str | None = None) -> LedgerTotals:
        totals = LedgerTotals()
        for key, entry in self.entries.items():
            if key != without:
                totals = totals.plus(entry)
        return totals

    def score(self, key: str, turns: int, reading: SessionReading) -> None:
        others = self.totals(without=key)
        base = self.status.initial_score + others.points
        points = score_after(base, turns=turns, reading=reading).points
        entry = LedgerEntry(key, "u", points, f"topic {key}", "joy", 0, fallback=False)
        self.entries[key] = entry
        self.status = settled(self.status, others.plus(entry))


@given(quarters, scorings)
def test_after_any_scorings_a_status_is_what_its_user_began_with_and_the_ledger(initial, scorings):
    book = Book(initial)

    for scoring in scorings:
        book.score(*scoring)

    points = sum(entry.points for entry in book.entries.values())
    assert book.status.score == initial + points >= 0
    assert book.status.level == level_of(book.status.score)
    assert book.status.topic_metrics == {
        "music": 3,
        **{f"topic {key}": 1 for key in book.entries},
    }
    assert agree(book.status, settled(book.status, book.totals()))


@given(quarters, scorings, st.sampled_from("abcd"), st.integers(0, 5), readings)
def test_replacing_an_entry_twice_is_replacing_it_once(initial, scorings, key, turns, reading):
    book = Book(initial)
    for scoring in scorings:
        book.score(*scoring)

    book.score(key, turns, reading)
    once = (book.status, dict(book.entries))
    book.score(key, turns, reading)

    assert (book.status, book.entries) == once


@given(st.floats(-1e4, 1e4), st.integers(0, 50), st.integers(0, 50), st.integers(0, 5))
def test_more_turns_never_make_a_lower_score(base, fewer, more, questions):
    fewer, more = sorted((fewer, more))
    reading = SessionReading("anger", questions)

    low, high = (score_after(base, turns=turns, reading=reading) for turns in (fewer, more))

    assert 0 <= low.score <= high.score
    assert low.level <= high.level


def test_statuses_that_differ_in_score_or_topics_do_not_agree():
    status = FriendshipStatus("u", 10.0, {"music": 1})

    assert agree(status, FriendshipStatus("u", 10.0 + 1e-9, {"music": 1}))
    assert not agree(status, FriendshipStatus("u", 10.5, {"music": 1}))
    assert not agree(status, FriendshipStatus("u", 10.0, {"music": 2}))
