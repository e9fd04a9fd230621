"""The real Langfuse SDK and the stand-in."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid

import pytest
from opentelemetry import trace

from lab.stack.langfuse import Langfuse
from service.application.settings import Settings
from service.domain.conversation import Message, Speaker
from service.infrastructure.llm.langfuse_log import NoLlmLog, make_llm_log

LOG = (Message(Speaker.USER, "My sister is ill. Write to ann@example.org? So sad."),)
INPUT, OUTPUT = "langfuse.observation.input", "langfuse.observation.output"


def keys(server: Langfuse) -> dict[str, str]:
    """Return settings that are a client of their own: the SDK keeps one for each public key."""
    return {
        "langfuse_base_url": server.url,
        "langfuse_public_key": f"pk-lf-{uuid.uuid4()}",
        "langfuse_secret_key": "sk-lf-secret",
    }


@pytest.fixture
def generations(langfuse_standin):
    """Return the generations that Langfuse was sent during this test, by name."""
    before = len(langfuse_standin.seen()["spans"])
    return lambda: {span["name"]: span for span in langfuse_standin.seen()["spans"][before:]}


@pytest.fixture
def scores(langfuse_standin):
    """Return the scores that Langfuse was sent during this test, by the observation's id."""
    before = len(langfuse_standin.seen()["scores"])
    return lambda: {s["observationId"]: s for s in langfuse_standin.seen()["scores"][before:]}


@pytest.fixture(autouse=True)
def well_behaved(langfuse_standin):
    yield
    langfuse_standin.behave(hang=False, status=None, delay_s=0)


async def test_every_call_is_a_generation_of_our_trace_with_redacted_words(
    groq_standin, langfuse_standin, reading, spans, generations
):
    # In ordinary time: on a busy machine a hundredth of an attempt's limit is soon over.
    given = {**keys(langfuse_standin), "time_scale": 1}
    async with reading(groq_standin.url, **given) as (reader, _):
        await reader.read(LOG)

    sent = generations()
    assert set(sent) == {"emotion", "questions"}
    chats = {span.context.span_id: span for span in spans.get_finished_spans()}
    for generation in sent.values():
        parent = chats[int(generation["parent_span_id"], 16)]
        assert generation["trace_id"] == trace.format_trace_id(parent.context.trace_id)
        told = generation["attributes"]
        said = json.loads(told[INPUT])[1]["content"]
        assert said == "user: My sister is ill. Write to [email]? So sad."
        assert told["langfuse.observation.type"] == "generation"
        assert told["langfuse.observation.model.name"] == "llama-3.3-70b-versatile"
        assert json.loads(told["langfuse.observation.model.parameters"])["temperature"] == 0
        assert json.loads(told["langfuse.observation.usage_details"])["input"] > 20
        assert told["langfuse.observation.metadata.attempts"] == "1"
        assert told["langfuse.observation.level"] == "DEFAULT"
    assert [sent[name]["attributes"][OUTPUT] for name in ("emotion", "questions")] == [
        "sadness",
        "1",
    ]


async def test_a_call_leads_from_langfuse_to_its_request(
    groq_standin, langfuse_standin, reading, generations
):
    given = {
        **keys(langfuse_standin),
        "request_url": "https://why504.example/request?trace={trace}",
    }
    async with reading(groq_standin.url, **given) as (reader, _):
        await reader.read(LOG)

    sent = generations()
    assert len(sent) == 2
    for generation in sent.values():
        led = generation["attributes"]["langfuse.observation.metadata.why504"]
        assert json.loads(led) == (f"https://why504.example/request?trace={generation['trace_id']}")


async def test_each_call_is_scored_by_whether_the_model_answered(
    groq_standin, langfuse_standin, reading, scores
):
    given = {**keys(langfuse_standin), "llm_attempts": 1, "time_scale": 1}
    async with reading(groq_standin.url, **given) as (reader, _):
        await reader.read(LOG)
        groq_standin.behave(status=500)
        await reader.read(LOG)

    told = scores()
    sent = langfuse_standin.seen()["spans"][-4:]
    assert [span["span_id"] in told for span in sent] == [True] * 4
    by_value = {0.0: 0, 1.0: 0}
    for score in told.values():
        assert (score["name"], score["dataType"]) == ("fallback", "BOOLEAN")
        by_value[score["value"]] += 1
    assert by_value == {0.0: 2, 1.0: 2}
    assert {s.get("comment") for s in told.values()} == {None, "InternalServerError"}


async def test_a_fallback_is_an_error_that_says_what_was_assumed(
    groq_standin, langfuse_standin, reading, generations
):
    groq_standin.behave(limited=True, retry_after_s=0)
    given = {**keys(langfuse_standin), "llm_attempts": 2, "time_scale": 1}
    async with reading(groq_standin.url, **given) as (reader, _):
        await reader.read(LOG)

    told = generations()["emotion"]["attributes"]
    assert told["langfuse.observation.level"] == "ERROR"
    assert told["langfuse.observation.status_message"] == "RateLimitError"
    assert told["langfuse.observation.metadata.fallback"] == '"neutral"'
    assert told["langfuse.observation.metadata.attempts"] == "2"
    assert told["langfuse.observation.metadata.rate_limited"] == "2"
    assert OUTPUT not in told


async def test_a_cancelled_call_ends_its_generation(
    groq_standin, langfuse_standin, reading, generations
):
    groq_standin.behave(hang=True)
    given = {**keys(langfuse_standin), "timeouts": {"llm_s": 1000}}
    async with reading(groq_standin.url, **given) as (reader, _):
        asked = asyncio.create_task(reader.read(LOG))
        await asyncio.sleep(0.1)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)

    for generation in generations().values():
        assert generation["attributes"]["langfuse.observation.level"] == "ERROR"
        assert generation["attributes"]["langfuse.observation.status_message"] == "CancelledError"


async def test_the_sdk_neither_becomes_the_global_provider_nor_the_current_span(
    groq_standin, langfuse_standin, reading
):
    provider = trace.get_tracer_provider()
    async with reading(groq_standin.url, **keys(langfuse_standin)) as (reader, _):
        await reader.read(LOG)
        assert not trace.get_current_span().get_span_context().is_valid

    assert trace.get_tracer_provider() is provider
    assert isinstance(provider, trace.ProxyTracerProvider)


@pytest.mark.parametrize("trouble", ["frozen", "gone", "hanging", "refusing"])
async def test_a_langfuse_that_is_away_delays_neither_a_reading_nor_the_end_for_long(
    tmp_path, groq_standin, reading, trouble, caplog, capfd
):
    caplog.set_level(logging.DEBUG)
    with Langfuse.start(tmp_path) as server:
        {
            "frozen": server.process.freeze,
            "gone": server.stop,
            "hanging": lambda: server.behave(hang=True),
            "refusing": lambda: server.behave(status=503),
        }[trouble]()
        async with reading(groq_standin.url, **keys(server)) as (reader, _):
            started_s = time.monotonic()
            for _ in range(10):
                assert not (await reader.read(LOG)).fallback
            read_s = time.monotonic() - started_s
            started_s = time.monotonic()
        closed_s = time.monotonic() - started_s
        if trouble == "frozen":
            server.process.thaw()

    assert read_s < 2
    assert closed_s < 5
    told = caplog.text + "".join(capfd.readouterr())
    assert "sister" not in told


def test_nothing_is_made_unless_both_keys_are_set(langfuse_standin):
    given = keys(langfuse_standin)
    del given["langfuse_secret_key"]

    assert isinstance(make_llm_log(Settings(**given)), NoLlmLog)
    assert isinstance(make_llm_log(Settings()), NoLlmLog)


async def test_not_even_debug_logs_show_a_prompt(
    groq_standin, langfuse_standin, reading, caplog, monkeypatch
):
    for name in ("groq", "httpx", "httpcore", "langfuse", "opentelemetry"):
        monkeypatch.setattr(logging.getLogger(name), "level", logging.DEBUG)
    caplog.set_level(logging.DEBUG)
    groq_standin.behave(status=500, echo=True)
    async with reading(groq_standin.url, **keys(langfuse_standin)) as (reader, _):
        await reader.read(LOG)

    assert caplog.records
    assert "sister" not in caplog.text
