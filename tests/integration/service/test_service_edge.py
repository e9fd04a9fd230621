"""The edge of the service as a client meets it: web pages, hostile bodies, unknown users."""

from __future__ import annotations

import asyncio
import time

import pytest

pytestmark = pytest.mark.postgres

END = "/v1/conversations/end"
JSON = {"content-type": "application/json"}
PAGE = {"origin": "https://app.example.org"}
PREFLIGHT = {
    **PAGE,
    "access-control-request-method": "POST",
    "access-control-request-headers": "content-type,traceparent",
}
OPENING = '{"conversation_id": "c", "user_id": "u", "log": '


def to_the_limit(unit: str) -> str:
    return unit * (1_048_576 // len(unit))


BOMBS = {
    "deep lists": to_the_limit("["),
    "deep objects": to_the_limit('{"a":'),
    "a deep log": OPENING + to_the_limit("[")[:1_000_000],
    "a number of a million digits": OPENING + "9" * 1_000_000 + "}",
    "countless keys": "{" + to_the_limit('"k":1,')[:1_000_000].rpartition(",")[0] + "}",
    "countless messages": OPENING + "[" + "{}," * 300_000 + "{}]}",
    "messages all wrong": OPENING + "[" + '{"speaker":1},' * 9_999 + "{}]}",
}


@pytest.mark.parametrize("name", BOMBS)
async def test_no_body_holds_the_loop(client, name):
    worst_s = 0.0

    async def tick() -> None:
        nonlocal worst_s
        while True:
            began_s = time.monotonic()
            await asyncio.sleep(0.001)
            worst_s = max(worst_s, time.monotonic() - began_s)

    ticking = asyncio.create_task(tick())
    answer = await client.post(END, content=BOMBS[name], headers=JSON)
    await asyncio.sleep(0.005)
    ticking.cancel()

    assert answer.status_code in (400, 422)
    assert answer.json()["trace_id"]
    assert len(answer.content) < 10_000
    assert worst_s < 0.3


async def test_a_log_of_too_many_messages_and_a_message_of_too_many_characters_are_refused(client):
    body = {"conversation_id": "c", "user_id": "u"}
    said = {"speaker": "user", "text": ""}

    many = await client.post(END, json={**body, "log": [said] * 10_001})
    long = await client.post(END, json={**body, "log": [{**said, "text": "x" * 100_001}]})

    assert [many.status_code, long.status_code] == [422, 422]
    assert many.json()["errors"][0]["where"] == ["body", "log"]
    assert long.json()["errors"][0]["where"] == ["body", "log", 0, "text"]


@pytest.mark.parametrize("path", ["calculate-score", "calculate-score-and-update"])
@pytest.mark.parametrize("name", ["x" * 241, "a%00b", "a%20b", "%F0%9F%92%A9"])
async def test_an_id_that_can_not_be_one_is_refused(client, path, name):
    answer = await client.post(f"/v1/friendship_status/{path}/{name}")

    assert answer.status_code == 422


async def test_a_user_is_unknown_until_something_was_suggested(client):
    before = await client.get("/v1/friendship_status/u1")
    await client.post("/v1/activities/suggest", json={"user_id": "u1"})
    after = await client.get("/v1/friendship_status/u1")

    assert (before.status_code, before.json()["type"]) == (404, "urn:problem:user-unknown")
    assert after.json() == {"user_id": "u1", "score": 0.0, "level": 1, "topic_metrics": {}}


async def test_a_web_page_of_ours_may_call_and_read_even_what_is_refused(running):
    origins = {"cors_origins": (PAGE["origin"],)}
    async with running(rate_limit="2/hour", **origins) as client:
        asked = await client.options(END, headers=PREFLIGHT)
        answers = [await client.post(END, json={}, headers=PAGE) for _ in range(3)]

    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == PAGE["origin"]
    assert [answer.status_code for answer in answers] == [422, 422, 429]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == PAGE["origin"]
        readable = answer.headers["access-control-expose-headers"].lower().split(", ")
        assert {"x-trace-id", "retry-after", "ratelimit"} <= set(readable)


async def test_without_origins_no_page_may_call(client):
    asked = await client.options(END, headers=PREFLIGHT)

    assert "access-control-allow-origin" not in asked.headers
