from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from service.application.score_conversation import read_standing
from service.domain.friendship import SessionReading
from service.main import Adapters
from tests.unit.service.fakes.emotion_reader import FakeEmotionReader

pytestmark = pytest.mark.postgres

SECRET = "my sister is ill"
BODY = {
    "conversation_id": "c1",
    "user_id": "u1",
    "log": [{"speaker": "user", "text": SECRET}, {"speaker": "companion", "text": "Oh?"}],
}
SCORE = "/v1/friendship_status/calculate-score/c1"
Say = Callable[[str], "bytes | None"]


def completion(content: str | None) -> bytes:
    message = {"role": "assistant", "content": content}
    body = {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14},
    }
    return response("200 OK", json.dumps(body))


def response(status: str, body: str) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body.encode())}\r\n\r\n{body}".encode()


@asynccontextmanager
async def llm(say: Say) -> AsyncIterator[str]:
    """A server that answers each prompt with what `say` returns, or not at all for None."""
    silent: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length:")[1].split("\r\n")[0])
        answer = say((await reader.readexactly(length)).decode())
        if answer is None:
            silent.append(writer)
            return
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        for writer in silent:
            writer.close()
        server.close()


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    return exporter


def both(prompt: str) -> bytes:
    return completion("Joy." if "emotion" in prompt else "They ask 2 questions.")


async def test_two_answers_make_a_score_and_two_spans_without_a_word_of_it(running, spans):
    async with llm(both) as url, running(groq_base_url=url, llm_attempts=1) as client:
        await client.post("/v1/conversations/end", json=BODY)
        answer = await client.post(SCORE)

    assert answer.json() == {
        "conversation_id": "c1",
        "user_id": "u1",
        "score": 13.5,
        "level": 1,
        "points": 13.5,
        "emotion": "joy",
        "questions": 2,
        "fallback": False,
    }
    [first, second] = spans.get_finished_spans()
    assert first.name == second.name == "chat llama-3.3-70b-versatile"
    assert dict(first.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "groq",
        "gen_ai.request.model": "llama-3.3-70b-versatile",
        "gen_ai.usage.input_tokens": 11,
        "gen_ai.usage.output_tokens": 3,
        "server.address": "127.0.0.1",
        "server.port": int(url.rsplit(":", 1)[1]),
    }


BAD: dict[str, tuple[Say, str]] = {
    "rate limited": (lambda _: response("429 Too Many", '{"error": {}}'), "RateLimitError"),
    "broken": (lambda _: response("500 Oops", "{}"), "InternalServerError"),
    "chatty": (lambda _: completion("I would rather not say."), "unreadable_answer"),
    "empty": (lambda _: completion(None), "unreadable_answer"),
    "no completion": (lambda _: response("200 OK", "{}"), "unreadable_answer"),
    "a list": (lambda _: response("200 OK", "[]"), "unreadable_answer"),
    "choices that are none": (
        lambda _: response("200 OK", '{"choices": [5]}'),
        "unreadable_answer",
    ),
    "no json": (lambda _: response("200 OK", "<html>"), "unreadable_answer"),
    "cut off": (lambda _: b"HTTP/1.1 200 OK\r\nContent-Le", "APIConnectionError"),
    "silent": (lambda _: None, "APITimeoutError"),
}


@pytest.mark.parametrize(("say", "error_type"), BAD.values(), ids=BAD)
async def test_an_llm_that_fails_is_a_fallback_that_is_marked_and_keeps_the_score(
    running, rows, spans, say, error_type
):
    rows("INSERT INTO friendship_status (user_id, score) VALUES ('u1', 42)")
    async with (
        llm(say) as url,
        running(groq_base_url=url, llm_attempts=1, timeouts={"llm_s": 0.5}) as client,
    ):
        await client.post("/v1/conversations/end", json=BODY)
        started_s = time.monotonic()
        answer = await client.post(SCORE)

    assert time.monotonic() - started_s < 3
    assert answer.status_code == 200
    told = answer.json()
    assert (told["score"], told["emotion"], told["questions"]) == (42.0, "neutral", 0)
    assert told["fallback"] is True
    for span in spans.get_finished_spans():
        assert span.attributes is not None
        assert span.attributes["why504.llm.fallback"] is True
        assert span.attributes["error.type"] in (error_type, "TimeoutError")
        assert SECRET not in span.to_json()


async def test_one_answer_of_two_is_not_enough_to_move_a_score(running):
    def half(prompt: str) -> bytes:
        return completion("joy") if "emotion" in prompt else response("500 Oops", "{}")

    async with llm(half) as url, running(groq_base_url=url, llm_attempts=1) as client:
        await client.post("/v1/conversations/end", json=BODY)
        told = (await client.post(SCORE)).json()

    assert (told["emotion"], told["score"], told["fallback"]) == ("joy", 0.0, True)


async def test_the_two_calls_run_at_once(running):
    asked: list[str] = []

    async with (
        llm(asked.append) as url,
        running(groq_base_url=url, llm_attempts=1, timeouts={"llm_s": 0.5}) as client,
    ):
        await client.post("/v1/conversations/end", json=BODY)
        started_s = time.monotonic()
        await client.post(SCORE)

    assert len(asked) == 2
    assert time.monotonic() - started_s < 0.95


async def test_no_connection_is_held_while_the_llm_thinks(running, rows):
    in_use: list[int] = []
    busy = (
        "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name = 'context-handling' AND state <> 'idle'"
    )
    reader = FakeEmotionReader(
        SessionReading("joy", 1), on_read=lambda: in_use.append(rows(busy)[0]["n"])
    )
    async with running(Adapters(emotion_reader=lambda *_: reader)) as client:
        await client.post("/v1/conversations/end", json=BODY)
        await client.post(SCORE)

    assert in_use == [0]
    assert reader.closed


async def test_a_variant_may_ask_the_llm_while_the_transaction_is_open(running, rows):
    """What production had; the composition root takes it without knowing why."""
    in_use: list[int] = []
    busy = (
        "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name = 'context-handling' AND state = 'idle in transaction'"
    )

    def holding(begin_work, analyse):
        async def score(conversation_id: str):
            async with begin_work() as work:
                standing = await read_standing(work, conversation_id)
                session = standing.session
                return standing.scored(await analyse(session.user_id, session.transcript))

        return score

    reader = FakeEmotionReader(
        SessionReading("joy", 1), on_read=lambda: in_use.append(rows(busy)[0]["n"])
    )
    adapters = Adapters(emotion_reader=lambda *_: reader, score_conversation=holding)
    async with running(adapters) as client:
        await client.post("/v1/conversations/end", json=BODY)
        answer = await client.post(SCORE)

    assert answer.status_code == 200
    assert in_use == [1]


@pytest.mark.parametrize(("path", "status"), [("nope", 404), ("a%00b", 422), ("x" * 241, 422)])
async def test_what_was_never_stored_can_not_be_scored(client, path, status):
    answer = await client.post(f"/v1/friendship_status/calculate-score/{path}")

    assert answer.status_code == status


async def test_an_event_with_a_suffix_can_be_scored(client):
    await client.post("/v1/conversations/end", json=BODY)
    other = await client.post("/v1/conversations/end", json={**BODY, "user_id": "u2"})

    stored_id = other.json()["conversation_id"]
    answer = await client.post(f"/v1/friendship_status/calculate-score/{stored_id}")

    assert answer.json()["user_id"] == "u2"
