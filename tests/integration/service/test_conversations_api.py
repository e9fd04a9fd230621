from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from service.application.ports.unit_of_work import UnitOfWork
from service.domain.conversation import ConversationEnded
from service.main import Adapters
from tests.unit.service.fakes.event_publisher import BrokenPublisher

pytestmark = pytest.mark.postgres

SAID = [{"speaker": "user", "text": " hi "}, {"speaker": "companion", "text": "How are you?"}]
BODY = {"conversation_id": "c1", "user_id": "u1", "log": SAID}
END = "/v1/conversations/end"


async def test_a_conversation_is_stored_with_the_message_for_the_worker(client, rows):
    answer = await client.post(END, json={**BODY, "ended_at": "2026-11-23T23:04:10+01:00"})

    assert answer.status_code == 201
    event = answer.json()
    assert event == {
        "event_id": event["event_id"],
        "conversation_id": "c1",
        "requested_id": "c1",
        "user_id": "u1",
        "ended_at": "2026-11-23T22:04:10Z",
    }
    assert rows("SELECT id, log FROM conversation_event") == [
        {"id": event["event_id"], "log": SAID}
    ]
    assert rows("SELECT topic, payload, sent_at FROM outbox") == [
        {
            "topic": "conversation.ended",
            "sent_at": None,
            "payload": {
                "event_id": event["event_id"],
                "conversation_id": "c1",
                "user_id": "u1",
                "ended_at": "2026-11-23T22:04:10+00:00",
                "transcript": [
                    {"speaker": "user", "text": "hi"},
                    {"speaker": "companion", "text": "How are you?"},
                ],
            },
        }
    ]


async def test_a_repeated_call_gets_the_event_that_was_stored(client, rows):
    first = await client.post(END, json=BODY)
    again = await client.post(END, json=BODY)

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert len(rows("SELECT id FROM outbox")) == 1


async def test_another_body_gets_an_id_of_its_own_and_may_be_repeated_too(client, rows):
    await client.post(END, json=BODY)
    other = await client.post(END, json={**BODY, "user_id": "u2"})
    again = await client.post(END, json={**BODY, "user_id": "u2"})

    assert other.status_code == 201
    assert other.json()["conversation_id"].startswith("c1~")
    assert again.json() == other.json()
    assert len(rows("SELECT id FROM conversation_event")) == 2


async def test_identical_calls_at_once_store_one_event(client, rows):
    answers = await asyncio.gather(*(client.post(END, json=BODY) for _ in range(30)))

    assert sorted(answer.status_code for answer in answers) == [200] * 29 + [201]
    assert len({answer.text for answer in answers}) == 1
    assert len(rows("SELECT id FROM conversation_event")) == len(rows("SELECT id FROM outbox")) == 1


async def test_different_bodies_at_once_are_all_stored(client, rows):
    bodies = [{**BODY, "user_id": f"u{number}"} for number in range(30)]

    answers = await asyncio.gather(*(client.post(END, json=body) for body in bodies))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["conversation_id"] for answer in answers}) == 30
    assert len(rows("SELECT id FROM outbox")) == 30


async def test_a_publisher_that_fails_leaves_neither_event_nor_message(running, rows):
    adapters = Adapters(event_publisher=lambda _: BrokenPublisher())
    async with running(adapters) as client:
        answer = await client.post(END, json=BODY)

    assert answer.status_code == 500
    assert rows("SELECT id FROM conversation_event") == rows("SELECT id FROM outbox") == []


async def test_the_publisher_is_called_while_the_transaction_is_open(running, rows):
    seen: list[dict[str, Any]] = []

    class Watching:
        async def publish(self, event: ConversationEnded, work: UnitOfWork) -> None:
            seen.extend(
                rows(
                    "SELECT state FROM pg_stat_activity WHERE datname = current_database() "
                    "AND application_name = 'context-handling' AND state <> 'idle'"
                )
            )

    async with running(Adapters(event_publisher=lambda _: Watching())) as client:
        answer = await client.post(END, json=BODY)

    assert answer.status_code == 201
    assert seen == [{"state": "idle in transaction"}]


HOSTILE = {
    "NUL in a text": {**BODY, "log": [{"speaker": "user", "text": "a\0b"}]},
    "NUL in an id": {**BODY, "conversation_id": "a\0b"},
    "an empty id": {**BODY, "conversation_id": ""},
    "a slash in an id": {**BODY, "conversation_id": "a/b"},
    "an id with a newline": {**BODY, "conversation_id": "a\n"},
    "a long id": {**BODY, "conversation_id": "x" * 201},
    "half a surrogate pair": {**BODY, "log": [{"speaker": "user", "text": "\ud800"}]},
    "half a pair as a key": {**BODY, "log": [{"speaker": "\ud800", "\ud800": 1}]},
    "nobody spoke": {**BODY, "log": [{"speaker": "god", "text": "x"}]},
    "a year that overflows": {**BODY, "ended_at": "0001-01-01T00:00:00+14:00"},
    "a time without a zone": {**BODY, "ended_at": "2026-01-01T00:00:00"},
    "a number for a log": {**BODY, "log": 5},
    "no body": None,
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
async def test_what_can_not_be_stored_is_refused_and_nothing_is_stored(client, rows, body):
    raw = json.dumps(body)
    answer = await client.post(END, content=raw, headers={"content-type": "application/json"})

    assert answer.status_code == 422
    assert rows("SELECT id FROM conversation_event") == []


@pytest.mark.parametrize("raw", [b"", b"{", b"[" * 200_000, b"\xff\xfe", b"NaN", b'"' * 3])
async def test_what_is_no_json_is_refused(client, raw):
    answer = await client.post(END, content=raw, headers={"content-type": "application/json"})

    assert answer.status_code in (400, 422)


async def test_every_character_that_people_write_comes_back(client, rows):
    text = "“ñ” 😀\u2028\x01 \\u0000 '; DROP TABLE outbox; --"

    await client.post(END, json={**BODY, "log": [{"speaker": "user", "text": text}]})

    [stored] = rows("SELECT log FROM conversation_event")
    assert stored["log"][0]["text"] == text


async def test_an_empty_conversation_is_one_too(client):
    answer = await client.post(END, json={**BODY, "log": []})

    assert answer.status_code == 201


async def test_a_log_of_half_a_megabyte_is_stored(client):
    log = [{"speaker": "user", "text": "x" * 100} for _ in range(4_000)]

    answer = await client.post(END, json={**BODY, "log": log})

    assert answer.status_code == 201
