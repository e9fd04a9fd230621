from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from service.application.end_conversation import EndConversation
from service.application.errors import StoreBusy
from service.domain.conversation import Conversation, Message, Speaker, StoredEvent
from service.infrastructure.messaging.event_publisher import OutboxPublisher
from tests.unit.service.fakes.conversation_store import FakeConversationStore
from tests.unit.service.fakes.event_publisher import BrokenPublisher
from tests.unit.service.fakes.unit_of_work import FakeDatabase

NOW = datetime(2026, 11, 23, 23, 4, 10, tzinfo=UTC)
SAID = (Message(Speaker.USER, " hi "), Message(Speaker.USER, "you?"))
CONVERSATION = Conversation("c1", "u1", SAID, None)


def use_case(database: FakeDatabase, publisher=None, now=lambda: NOW) -> EndConversation:
    return EndConversation(database.begin_work, publisher or OutboxPublisher(), now)


async def test_a_new_conversation_is_stored_and_told_in_one_go():
    database = FakeDatabase()

    ended = await use_case(database)(CONVERSATION)

    assert ended.created
    assert [event for event, _ in database.events] == [ended.event]
    assert database.outbox == [
        (
            "conversation.ended",
            {
                "event_id": 1,
                "conversation_id": "c1",
                "user_id": "u1",
                "ended_at": "2026-11-23T23:04:10+00:00",
                "transcript": [{"speaker": "user", "text": "hi you?"}],
            },
        )
    ]


async def test_the_same_conversation_again_is_the_same_event_and_told_once():
    database = FakeDatabase()
    first = await use_case(database)(CONVERSATION)

    later = use_case(database, now=lambda: NOW + timedelta(hours=9))
    again = await later(CONVERSATION)

    assert again == replace(first, created=False)
    assert len(database.outbox) == 1


async def test_another_body_under_a_taken_id_gets_an_id_of_its_own_and_keeps_it():
    database = FakeDatabase()
    await use_case(database)(CONVERSATION)
    other = replace(CONVERSATION, user_id="u2")

    first = await use_case(database)(other)
    again = await use_case(database, now=lambda: NOW + timedelta(hours=9))(other)

    assert first.event.conversation_id == "c1~20261123T230410.000000Z"
    assert again.event == first.event
    assert len(database.events) == len(database.outbox) == 2


async def test_an_id_given_out_with_a_suffix_may_be_asked_for_later():
    database = FakeDatabase()
    await use_case(database)(CONVERSATION)
    given = await use_case(database)(replace(CONVERSATION, user_id="u2"))
    later = use_case(database, now=lambda: NOW + timedelta(seconds=1))

    asked = Conversation(given.event.conversation_id, "u3", SAID, None)
    ended = await later(asked)

    assert ended.created
    assert ended.event.requested_id == given.event.conversation_id
    assert ended.event.conversation_id.startswith(given.event.conversation_id + "~")


async def test_a_publisher_that_fails_leaves_neither_event_nor_message():
    database = FakeDatabase()

    with pytest.raises(ConnectionError):
        await use_case(database, BrokenPublisher())(CONVERSATION)

    assert (database.events, database.outbox) == ([], [])


async def test_a_race_lost_again_and_again_ends_after_three_lookups(monkeypatch):
    lookups: list[str] = []

    async def found_nothing(_, requested_id: str, body_hash: str) -> StoredEvent | None:
        lookups.append(requested_id)
        return None

    async def taken(*_: object, **__: object) -> None:
        return None

    monkeypatch.setattr(FakeConversationStore, "find", found_nothing)
    monkeypatch.setattr(FakeConversationStore, "add", taken)

    with pytest.raises(StoreBusy):
        await use_case(FakeDatabase())(CONVERSATION)
    assert lookups == ["c1", "c1", "c1"]


async def test_when_it_ended_is_what_the_client_says():
    database = FakeDatabase()
    ended_at = datetime(2026, 1, 1, tzinfo=UTC)

    ended = await use_case(database)(replace(CONVERSATION, ended_at=ended_at))

    assert ended.event.ended_at == ended_at
