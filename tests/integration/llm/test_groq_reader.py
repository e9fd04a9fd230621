"""The reader with the real SDK, against the stand-in and against servers that misbehave."""

from __future__ import annotations

import asyncio
import time

import pytest
from llm_servers import COMPLETION, http, model

from lab.stack.groq import Groq
from service.domain.conversation import Message, Speaker
from service.domain.friendship import SessionReading

SECRET = "my sister is ill"
LOG = (
    Message(Speaker.USER, f"Hi! {SECRET}, so sad. What can I do? Will she live?"),
    Message(Speaker.COMPANION, "I am sorry. Do you want to talk?"),
)
FALLBACK = SessionReading("neutral", 0, fallback=True)
GROQ = {"provider": "groq"}


def told(spans) -> list[dict]:
    """Return each finished call: what it was marked with, and its attempts."""
    for span in spans.get_finished_spans():
        assert SECRET not in span.to_json()
    return [
        dict(span.attributes or {})
        | {"attempts": [dict(e.attributes or {}) for e in span.events if e.name == "llm.attempt"]}
        for span in spans.get_finished_spans()
    ]


def count(registry, name: str, **labels: str) -> float:
    return registry.get_sample_value(name, labels) or 0.0


async def test_a_session_is_read_and_its_two_calls_are_spans_and_metrics(
    groq_standin, reading, spans
):
    async with reading(groq_standin.url) as (reader, registry):
        read = await reader.read(LOG, ["she has a sister"])

    assert read == SessionReading("sadness", 2)
    operation = {
        "gen_ai_operation_name": "chat",
        "gen_ai_provider_name": "groq",
        "gen_ai_request_model": "llama-3.3-70b-versatile",
    }
    name = "gen_ai_client_operation_duration_seconds_count"
    assert count(registry, name, **operation, error_type="") == 2
    name = "gen_ai_client_token_usage_sum"
    assert count(registry, name, **operation, gen_ai_token_type="input") > 50
    assert count(registry, "llm_retries_total") == 0
    for call in told(spans):
        assert call["attempts"] == [{"llm.attempt": 1, "http.response.status_code": 200}]
        assert "why504.llm.fallback" not in call


async def test_half_of_the_attempts_fail_and_every_call_is_answered(groq_standin, reading):
    groq_standin.behave(status=503, fail_share=0.5)
    async with reading(groq_standin.url, breaker_failures=50) as (reader, registry):
        reads = await asyncio.gather(*(reader.read(LOG) for _ in range(5)))

    assert {read.emotion for read in reads if not read.fallback} == {"sadness"}
    assert count(registry, "llm_retries_total") >= 5


@pytest.mark.parametrize(
    ("behaviour", "error_type", "statuses"),
    [
        ({"limited": True, "retry_after_s": 0}, "RateLimitError", [429] * 4),
        ({"limited": True, "retry_after_s": 0.05}, "RateLimitError", [429] * 4),
        ({"limited": True, "retry_after_s": 600}, "RateLimitError", [429]),
        ({"limited": True, "retry_after_s": None}, "RateLimitError", [429] * 4),
        ({"status": 500}, "InternalServerError", [500] * 4),
        ({"status": 400, "echo": True}, "BadRequestError", [400]),
        ({"status": 401}, "AuthenticationError", [401]),
    ],
)
async def test_a_provider_that_refuses_is_a_marked_and_counted_fallback(
    groq_standin, reading, spans, behaviour, error_type, statuses
):
    groq_standin.behave(**behaviour)
    async with reading(groq_standin.url, breaker_failures=50, budget_s=5.0) as (reader, registry):
        started_s = time.monotonic()
        assert await reader.read(LOG) == FALLBACK

    assert time.monotonic() - started_s < 5.5
    for call in told(spans):
        assert call["why504.llm.fallback"] is True
        assert call["error.type"] == error_type
        assert [each["http.response.status_code"] for each in call["attempts"]] == statuses
    assert count(registry, "llm_fallbacks_total", question="emotion") == 1
    assert count(registry, "llm_fallbacks_total", question="questions") == 1
    assert count(registry, "llm_rate_limited_total") == 2 * statuses.count(429)
    if behaviour.get("retry_after_s") == 600:
        assert call["attempts"][0]["llm.retry_after_s"] == 600


async def answers_html(writer: asyncio.StreamWriter) -> None:
    writer.write(http("<html>Sign in to the proxy</html>", kind="text/html"))


async def answers_half(writer: asyncio.StreamWriter) -> None:
    writer.write(http(COMPLETION)[:-20])


async def answers_half_a_head(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")


async def drips(writer: asyncio.StreamWriter) -> None:
    """Never silent for long, never done: a limit on each read would wait for ever."""
    writer.write(http(COMPLETION + " " * 6000)[:-6000])
    for _ in range(6000):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def sends_a_gzip_that_is_none(writer: asyncio.StreamWriter) -> None:
    writer.write(http(COMPLETION, Content_Encoding="gzip"))


@pytest.mark.parametrize(
    "answer",
    [answers_html, answers_half, answers_half_a_head, drips, sends_a_gzip_that_is_none],
)
async def test_an_answer_that_is_none_is_a_fallback_within_the_limits(answer, reading, spans):
    soon = {"llm_attempts": 2, "timeouts": {"llm_s": 15}}
    async with model(answer) as url, reading(url, **soon) as (reader, _):
        started_s = time.monotonic()
        assert await reader.read(LOG) == FALLBACK

    assert time.monotonic() - started_s < 5
    assert all(call["why504.llm.fallback"] for call in told(spans))


async def test_a_stand_in_killed_in_the_middle_is_a_fallback_and_its_return_is_used(
    tmp_path, reading
):
    with Groq.start(tmp_path, delay_s=30) as server:
        async with reading(server.url, llm_attempts=1, breaker_open_s=20) as (reader, _):
            asked = asyncio.create_task(reader.read(LOG))
            await asyncio.sleep(0.3)
            await asyncio.to_thread(server.stop)
            assert await asked == FALLBACK
            for _ in range(3):
                assert await reader.read(LOG) == FALLBACK

            with Groq.start(tmp_path, port=server.port):
                await asyncio.sleep(0.25)
                first_probe = await reader.read(LOG)
                assert await reader.read(LOG) == SessionReading("sadness", 2)

    # The probe was one of the two calls; the other was refused meanwhile.
    assert first_probe.fallback


async def test_a_provider_that_fails_is_left_alone_and_fallbacks_are_immediate(
    groq_standin, reading, spans
):
    groq_standin.behave(status=500)
    before = groq_standin.seen()["calls"]
    async with reading(groq_standin.url, breaker_open_s=1000) as (reader, registry):
        await reader.read(LOG)
        await reader.read(LOG)
        asked = groq_standin.seen()["calls"] - before
        started_s = time.monotonic()
        reads = await asyncio.gather(*(reader.read(LOG) for _ in range(50)))
        took_s = time.monotonic() - started_s

    assert reads == [FALLBACK] * 50
    assert took_s < 1
    assert groq_standin.seen()["calls"] - before == asked <= 6
    assert registry.get_sample_value("llm_breaker_state", GROQ) == 2
    assert told(spans)[-1]["error.type"] == "BreakerOpen"


async def test_after_a_while_exactly_one_probe_reaches_the_provider(groq_standin, reading):
    groq_standin.behave(status=500)
    async with reading(groq_standin.url, llm_attempts=1, breaker_open_s=10) as (reader, registry):
        for _ in range(3):
            await reader.read(LOG)
        groq_standin.behave(status=None, delay_s=0.1)
        await asyncio.sleep(0.11)
        before = groq_standin.seen()["calls"]
        await asyncio.gather(*(reader.read(LOG) for _ in range(20)))
        probes = groq_standin.seen()["calls"] - before
        after = await reader.read(LOG)

    assert probes == 1
    assert after == SessionReading("sadness", 2)
    assert registry.get_sample_value("llm_breaker_state", GROQ) == 0


async def test_no_more_calls_are_under_way_than_the_bulkhead_has_places(tmp_path, reading):
    with Groq.start(tmp_path, delay_s=0.05) as server:
        async with reading(server.url, llm_concurrency=3) as (reader, registry):
            asked = [asyncio.create_task(reader.read(LOG)) for _ in range(10)]
            await asyncio.sleep(0.08)
            waiting = registry.get_sample_value("llm_bulkhead_waiting")
            reads = await asyncio.gather(*asked)

        assert server.seen() == {"calls": 20, "most_at_once": 3}
    assert set(reads) == {SessionReading("sadness", 2)}
    assert waiting > 5
    assert registry.get_sample_value("llm_bulkhead_waiting") == 0
    assert registry.get_sample_value("llm_in_flight") == 0


PHASES = {
    "connecting or waiting for the answer": ({"hang": True}, {}),
    "pausing": ({"status": 500}, {"time_scale": 1.0, "breaker_failures": 50}),
    "waiting for a place": ({"hang": True}, {"llm_concurrency": 1}),
}


@pytest.mark.parametrize(("behaviour", "settings"), PHASES.values(), ids=PHASES)
async def test_a_call_that_is_cancelled_ends_at_once_and_leaves_nothing_behind(
    groq_standin, reading, spans, behaviour, settings
):
    groq_standin.behave(**behaviour)
    async with reading(groq_standin.url, **settings) as (reader, registry):
        for _ in range(8):
            asked = asyncio.create_task(reader.read(LOG))
            await asyncio.sleep(0.05)
            asked.cancel()
            started_s = time.monotonic()
            with pytest.raises(asyncio.CancelledError):
                await asked
            assert time.monotonic() - started_s < 0.2
        open_before = registry.get_sample_value("llm_breaker_state", GROQ)
        groq_standin.behave(hang=False, status=None)
        after = await reader.read(LOG)

    cancelled = told(spans)[:16]
    assert {call["error.type"] for call in cancelled} == {"CancelledError"}
    assert len(told(spans)) == 18
    assert after == SessionReading("sadness", 2)
    assert open_before == 0
    assert registry.get_sample_value("llm_in_flight") == 0
    assert registry.get_sample_value("llm_bulkhead_waiting") == 0


async def test_a_cancelled_probe_does_not_keep_the_circuit_from_closing(groq_standin, reading):
    groq_standin.behave(status=500)
    async with reading(groq_standin.url, llm_attempts=1, breaker_open_s=5) as (reader, registry):
        for _ in range(3):
            await reader.read(LOG)
        groq_standin.behave(status=None, hang=True)
        await asyncio.sleep(0.06)
        probe = asyncio.create_task(reader.read(LOG))
        await asyncio.sleep(0.05)
        probe.cancel()
        await asyncio.gather(probe, return_exceptions=True)
        groq_standin.behave(hang=False)
        await reader.read(LOG)
        after = await reader.read(LOG)

    assert after == SessionReading("sadness", 2)
    assert registry.get_sample_value("llm_breaker_state", GROQ) == 0
