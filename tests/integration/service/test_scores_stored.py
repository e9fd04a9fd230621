"""Scores on a real PostgreSQL: whatever happens at once, a status is the sum of its ledger."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from service.application.analyse_session import AnalyseSession
from service.application.process_conversation import ProcessConversation
from service.application.settings import Settings, Timeouts
from service.application.update_score import UpdateScore
from service.domain.conversation import Conversation, ConversationEnded, Message, Speaker
from service.domain.friendship import EMOTION_POINTS, SessionReading
from service.infrastructure.db.engine import make_engine
from service.infrastructure.db.unit_of_work import units_of_work
from tests.unit.service.fakes.emotion_reader import FakeEmotionReader
from tests.unit.service.fakes.memory import FakeMemory

pytestmark = pytest.mark.postgres

NOW = datetime(2026, 11, 23, 23, 4, tzinfo=UTC)
TEXTS = ("I love music", "the rain again", "work was hard", "nothing special")
BROKEN = """
    SELECT user_id, score, level, topic_metrics FROM friendship_status s WHERE
      abs(score - initial_score - (
        SELECT coalesce(sum(points), 0) FROM conversation_score l WHERE l.user_id = s.user_id
      )) > 1e-6
      OR level <> CASE WHEN score >= 500 THEN 3 WHEN score >= 100 THEN 2 ELSE 1 END
      OR topic_metrics <> (
        SELECT coalesce(jsonb_object_agg(topic, n), '{}') FROM (
          SELECT topic, count(*) AS n FROM conversation_score l
          WHERE l.user_id = s.user_id GROUP BY topic
        ) AS counted
      )
"""


class MoodyReader:
    """Reads a session otherwise each time, and now and then not at all."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    async def read(
        self, transcript: Sequence[Message], memories: Sequence[str] = ()
    ) -> SessionReading:
        await asyncio.sleep(self._random.random() / 100)
        if self._random.random() < 0.2:
            return SessionReading("neutral", 0, fallback=True)
        return SessionReading(self._random.choice([*EMOTION_POINTS]), self._random.randrange(5))

    async def aclose(self) -> None:
        return


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = make_engine(Settings(database_url=database_url, timeouts=Timeouts(checkout_s=30)))
    yield engine
    await engine.dispose()


async def store(engine: AsyncEngine, user_id: str, number: int) -> ConversationEnded:
    log = (Message(Speaker.USER, TEXTS[number % len(TEXTS)]),)
    conversation = Conversation(f"{user_id}-c{number}", user_id, log, None)
    async with units_of_work(engine)() as work:
        added = await work.conversations.add(
            conversation,
            stored_id=conversation.conversation_id,
            ended_at=NOW + timedelta(minutes=number),
        )
        await work.commit()
    assert added is not None
    return ConversationEnded(added.event_id, added.conversation_id, user_id, added.ended_at, log)


async def test_many_updates_at_once_leave_every_status_the_sum_of_its_ledger(engine, rows):
    begin_work, memory = units_of_work(engine), FakeMemory()
    analyse = AnalyseSession(MoodyReader(504), memory, 5.0)
    update = UpdateScore(begin_work, analyse, memory)
    process = ProcessConversation(begin_work, analyse, memory)
    events = [await store(engine, f"u{number % 3}", number) for number in range(12)]

    calls = [update(event.conversation_id) for event in events for _ in range(5)]
    calls += [process(f"m-{event.conversation_id}", event) for event in events for _ in range(4)]
    random.Random(7).shuffle(calls)
    outcomes = await asyncio.gather(*calls)

    assert sum(outcome is True for outcome in outcomes) == len(events)
    assert sum(outcome is False for outcome in outcomes) == 3 * len(events)
    assert rows(BROKEN) == []
    assert rows("SELECT count(*) AS n, count(DISTINCT user_id) AS u FROM conversation_score") == [
        {"n": 12, "u": 3}
    ]


async def test_what_a_user_had_before_the_ledger_is_kept_and_added_to(engine, rows):
    rows(
        "INSERT INTO friendship_status (user_id, score, initial_score, topic_metrics, "
        """initial_topic_metrics) VALUES ('u1', 95.5, 95.5, '{"music": 2}', '{"music": 2}')"""
    )
    event = await store(engine, "u1", 0)
    reader, memory = FakeEmotionReader(SessionReading("joy", 2)), FakeMemory()
    update = UpdateScore(units_of_work(engine), AnalyseSession(reader, memory, 5.0), memory)

    for _ in range(2):
        scored = await update(event.conversation_id)
        assert (scored.score.score, scored.score.points, scored.score.level) == (109.0, 13.5, 2)

    assert rows("SELECT score, level, topic_metrics FROM friendship_status") == [
        {"score": 109.0, "level": 2, "topic_metrics": {"music": 3}}
    ]


async def test_no_connection_is_taken_while_the_llm_or_the_memory_thinks(engine):
    event = await store(engine, "u1", 0)
    taken: list[int] = []

    def look() -> None:
        taken.append(engine.pool.checkedout())

    reader = FakeEmotionReader(SessionReading("joy", 1), on_read=look)
    memory = FakeMemory(on_call=look)
    begin_work, analyse = units_of_work(engine), AnalyseSession(reader, memory, 5.0)

    await UpdateScore(begin_work, analyse, memory)(event.conversation_id)
    await ProcessConversation(begin_work, analyse, memory)("m1", event)

    assert taken == [0] * 5


async def test_a_message_whose_worker_died_before_its_commit_takes_effect_later(engine, rows):
    event = await store(engine, "u1", 0)
    begin_work, memory = units_of_work(engine), FakeMemory()
    reader = FakeEmotionReader(SessionReading("joy", 1))
    process = ProcessConversation(begin_work, AnalyseSession(reader, memory, 5.0), memory)
    async with begin_work() as work:
        assert await work.inbox.add("m1")

    assert await process("m1", event) is True
    assert await process("m1", event) is False
    assert rows("SELECT message_id FROM processed_message") == [{"message_id": "m1"}]
    assert len(memory.kept) == 1
