from __future__ import annotations

from datetime import UTC, datetime

import pytest

from service.application.analyse_session import AnalyseSession
from service.application.errors import ConversationUnknown
from service.application.score_conversation import ScoreWithoutHolding
from service.domain.conversation import Message, Speaker, StoredEvent
from service.domain.friendship import FriendshipStatus, LedgerEntry, Score, SessionReading
from tests.unit.service.fakes.emotion_reader import FakeEmotionReader
from tests.unit.service.fakes.memory import FakeMemory
from tests.unit.service.fakes.unit_of_work import FakeDatabase

EVENT = StoredEvent(1, "c1", "c1", "u1", "0" * 64, datetime(2026, 1, 1, tzinfo=UTC))
LOG = (Message(Speaker.USER, "hi"), Message(Speaker.COMPANION, "yes?"), Message(Speaker.USER, "x"))


def database(score: float | None = None) -> FakeDatabase:
    statuses = {} if score is None else {"u1": FriendshipStatus("u1", score)}
    return FakeDatabase(events=[(EVENT, LOG)], statuses=statuses)


def score_with(stored: FakeDatabase, reader: FakeEmotionReader) -> ScoreWithoutHolding:
    return ScoreWithoutHolding(stored.begin_work, AnalyseSession(reader, FakeMemory(), 5.0))


async def test_a_score_adds_to_where_the_user_stands():
    reader = FakeEmotionReader(SessionReading("joy", 2))

    scored = await score_with(database(95.0), reader)("c1")

    assert (scored.user_id, scored.score) == ("u1", Score(109.0, 2, 14.0))


async def test_the_llm_is_asked_when_no_unit_of_work_is_open():
    stored, seen = database(), []
    reader = FakeEmotionReader(
        SessionReading("joy", 2), on_read=lambda: seen.append(stored.open_units)
    )

    await score_with(stored, reader)("c1")

    assert seen == [0]


@pytest.mark.parametrize(("stands", "kept"), [(95.0, 95.0), (None, 0.0)])
async def test_a_fallback_keeps_the_score_or_starts_at_zero(stands, kept):
    reader = FakeEmotionReader(SessionReading("neutral", 0, fallback=True))

    scored = await score_with(database(stands), reader)("c1")

    assert scored.score.score == kept


async def test_an_unknown_conversation_is_said_so_and_costs_no_llm_call():
    asked: list[None] = []
    reader = FakeEmotionReader(SessionReading("joy", 2), on_read=lambda: asked.append(None))

    with pytest.raises(ConversationUnknown):
        await score_with(database(), reader)("other")
    assert asked == []


async def test_a_conversation_that_counts_already_is_not_counted_twice():
    stored = database(14.0)
    stored.ledger["c1"] = LedgerEntry("c1", "u1", 14.0, "other", "joy", 2, fallback=False)

    scored = await score_with(stored, FakeEmotionReader(SessionReading("joy", 2)))("c1")

    assert scored.score == Score(14.0, 1, 14.0)
