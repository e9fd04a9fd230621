from __future__ import annotations

from datetime import UTC, datetime

import pytest

from service.application.analyse_session import AnalyseSession
from service.application.errors import ConversationUnknown, UserUnknown
from service.application.process_conversation import ProcessConversation
from service.application.read_status import ReadStatus
from service.application.update_score import UpdateScore
from service.domain.conversation import ConversationEnded, Message, Speaker, StoredEvent
from service.domain.friendship import FriendshipStatus, LedgerEntry, Score, SessionReading
from tests.unit.service.fakes.emotion_reader import FakeEmotionReader
from tests.unit.service.fakes.memory import FakeMemory
from tests.unit.service.fakes.unit_of_work import FakeDatabase

AT = datetime(2026, 1, 1, tzinfo=UTC)
LOG = (Message(Speaker.USER, "I love music"),)
EVENT = ConversationEnded(1, "c1", "u1", AT, LOG)
JOY, FALLBACK = SessionReading("joy", 2), SessionReading("neutral", 0, fallback=True)


class Service:
    """Both use cases on one database in memory."""

    def __init__(self) -> None:
        stored = StoredEvent(1, "c1", "c1", "u1", "0" * 64, AT)
        self.database = FakeDatabase(events=[(stored, LOG)])
        self.open_units: list[int] = []
        self.reader = FakeEmotionReader(JOY, on_read=self._look)
        self.memory = FakeMemory(on_call=self._look)
        analyse = AnalyseSession(self.reader, self.memory, 5.0)
        self.update = UpdateScore(self.database.begin_work, analyse, self.memory)
        self.process = ProcessConversation(self.database.begin_work, analyse, self.memory)

    def _look(self) -> None:
        self.open_units.append(self.database.open_units)


async def test_a_score_is_stored_with_its_entry_and_its_topic():
    service = Service()

    scored = await service.update("c1")

    assert scored.score == Score(13.5, 1, 13.5)
    assert service.database.statuses == {"u1": FriendshipStatus("u1", 13.5, {"music": 1})}
    assert service.database.ledger == {
        "c1": LedgerEntry("c1", "u1", 13.5, "music", "joy", 2, fallback=False)
    }


async def test_a_conversation_counts_and_is_remembered_once_however_often_it_is_scored():
    service = Service()

    for _ in range(3):
        await service.update("c1")
    await service.process("m1", EVENT)

    assert service.database.statuses["u1"].score == 13.5
    assert service.memory.kept == [("u1", LOG)]


async def test_neither_llm_nor_memory_is_asked_while_a_unit_of_work_is_open():
    service = Service()

    await service.update("c1")
    await service.process("m1", EVENT)

    assert service.open_units == [0] * 5


async def test_a_fallback_leaves_a_real_reading_alone():
    service = Service()
    await service.update("c1")
    before = (dict(service.database.ledger), dict(service.database.statuses))
    service.reader.reading = FALLBACK

    scored = await service.update("c1")

    assert scored.score == Score(13.5, 1, 0.0)
    assert (service.database.ledger, service.database.statuses) == before


async def test_a_fallback_of_a_new_conversation_is_kept_to_be_repaired():
    service = Service()
    service.reader.reading = FALLBACK

    await service.update("c1")

    assert service.database.ledger["c1"].fallback
    assert (service.database.statuses["u1"].score, service.memory.kept) == (0.0, [])
    service.reader.reading = JOY
    assert (await service.update("c1")).score.score == 13.5


async def test_a_message_takes_effect_once():
    service = Service()

    assert await service.process("m1", EVENT) is True
    assert await service.process("m1", EVENT) is False

    assert service.database.inbox == {"m1"}
    assert service.database.statuses["u1"].topic_metrics == {"music": 1}


async def test_a_message_known_before_costs_no_llm_call():
    service = Service()
    service.database.inbox.add("m1")

    assert await service.process("m1", EVENT) is False
    assert service.open_units == []


async def test_what_was_never_stored_is_not_scored_and_who_is_unknown_has_no_status():
    service = Service()

    with pytest.raises(ConversationUnknown):
        await service.update("other")
    with pytest.raises(UserUnknown):
        await ReadStatus(service.database.begin_work)("u1")
    await service.update("c1")
    assert (await ReadStatus(service.database.begin_work)("u1")).score == 13.5
