"""The stand-in, seen by the real client, which validates what it gets."""

from __future__ import annotations

import time
from collections.abc import Iterator

import groq
import httpx
import pytest
from groq.types.chat import ChatCompletion

from lab.stack.groq import Groq

MESSAGES = [{"role": "user", "content": "What did she feel?"}]
MODEL = "llama-3.3-70b-versatile"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Groq]:
    with Groq.start(tmp_path_factory.mktemp("groq")) as running:
        yield running


@pytest.fixture(autouse=True)
def well_behaved(server) -> None:
    server.behave(delay_s=0, limited=False, retry_after_s=2, content="neutral", status=None)
    server.behave(retry_after=None, fail_share=1, echo=False)


def client_of(server: Groq, **settings: object) -> groq.Groq:
    given = {"api_key": "gsk_lab", "base_url": server.url, "max_retries": 0}
    return groq.Groq(**given | settings)


def test_a_completion_is_exactly_of_the_clients_own_type(server):
    with client_of(server) as client:
        raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=MESSAGES)

    completion = ChatCompletion.model_validate_json(raw.text(), strict=True, extra="forbid")
    assert completion.choices[0].message.content == "neutral"
    assert completion.model == MODEL
    assert completion.usage is not None
    assert completion.usage.total_tokens > completion.usage.completion_tokens > 0
    assert raw.headers["x-ratelimit-remaining-tokens"] == "17997"
    assert "retry-after" not in raw.headers


async def test_the_async_client_is_answered_too(server):
    server.behave(content='{"questions": 2}')
    async with groq.AsyncGroq(api_key="gsk_lab", base_url=server.url) as client:
        completion = await client.chat.completions.create(model=MODEL, messages=MESSAGES)

    assert completion.choices[0].message.content == '{"questions": 2}'


def test_a_limited_client_gets_a_rate_limit_error_that_says_when_to_come_back(server):
    server.behave(limited=True, retry_after_s=7)
    with client_of(server) as client, pytest.raises(groq.RateLimitError) as raised:
        client.chat.completions.create(model=MODEL, messages=MESSAGES)

    assert raised.value.response.headers["retry-after"] == "7"
    assert raised.value.response.headers["x-ratelimit-remaining-tokens"] == "0"
    assert raised.value.body["error"]["code"] == "rate_limit_exceeded"


def test_the_clients_own_retries_honour_the_time_it_is_told(server):
    server.behave(limited=True, retry_after_s=0.3)
    began = time.monotonic()
    with client_of(server, max_retries=1) as client, pytest.raises(groq.RateLimitError):
        client.chat.completions.create(model=MODEL, messages=MESSAGES)

    assert 0.3 <= time.monotonic() - began < 3


def test_a_slow_answer_meets_the_clients_timeout(server):
    server.behave(delay_s=5)
    with client_of(server, timeout=0.2) as client, pytest.raises(groq.APITimeoutError):
        client.chat.completions.create(model=MODEL, messages=MESSAGES)


def test_a_call_without_key_is_refused(server):
    nobody = {"Authorization": groq.Omit()}
    with (
        client_of(server, default_headers=nobody) as client,
        pytest.raises(groq.AuthenticationError),
    ):
        client.chat.completions.create(model=MODEL, messages=MESSAGES)


INSTRUCTIONS = ("Name the user's emotion.", "Count the questions that the user asks.")
SESSIONS = {
    "user: I am so happy! You? Me?\ncompanion: Why? How?": ("joy", "2"),
    "user: she died, I cry": ("sadness", "0"),
    "companion: I love you?": (None, "0"),
    "user: xyzzy?": (None, "1"),
}


@pytest.mark.parametrize(("session", "answers"), SESSIONS.items())
def test_its_answers_follow_from_the_prompt_and_never_change(server, session, answers):
    server.behave(content=None)
    with client_of(server) as client:
        for instruction, answer in zip(INSTRUCTIONS, answers, strict=True):
            prompt = [
                {"role": "system", "content": instruction},
                {"role": "user", "content": session},
            ]
            said = {
                client.chat.completions.create(model=MODEL, messages=prompt)
                .choices[0]
                .message.content
                for _ in range(3)
            }
            assert len(said) == 1
            assert answer is None or said == {answer}


@pytest.mark.parametrize("status", [400, 500, 503])
def test_it_fails_as_it_is_told_and_may_quote_the_prompt(server, status):
    server.behave(status=status, echo=True, retry_after="Mon, 23 Nov 2026 12:00:00 GMT")
    with client_of(server) as client, pytest.raises(groq.APIStatusError) as raised:
        client.chat.completions.create(model=MODEL, messages=MESSAGES)

    assert raised.value.status_code == status
    assert raised.value.response.headers["retry-after"] == "Mon, 23 Nov 2026 12:00:00 GMT"
    assert MESSAGES[0]["content"] in str(raised.value)


def test_a_share_of_failures_is_spread_evenly(server):
    server.behave(status=500, fail_share=0.25)
    failed = []
    with client_of(server) as client:
        for _ in range(12):
            try:
                client.chat.completions.create(model=MODEL, messages=MESSAGES)
                failed.append(0)
            except groq.InternalServerError:
                failed.append(1)

    assert sum(failed) == 3
    assert sum(failed[:4]) == sum(failed[4:8]) == 1


def test_a_429_may_say_nothing_about_when_to_come_back(server):
    server.behave(limited=True, retry_after_s=None)
    with client_of(server) as client, pytest.raises(groq.RateLimitError) as raised:
        client.chat.completions.create(model=MODEL, messages=MESSAGES)

    assert "retry-after" not in raised.value.response.headers


def test_it_may_take_a_call_and_never_answer(server):
    server.behave(hang=True)
    try:
        with client_of(server, timeout=0.2) as client, pytest.raises(groq.APITimeoutError):
            client.chat.completions.create(model=MODEL, messages=MESSAGES)
    finally:
        server.behave(hang=False)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"model": "", "messages": []}', b"\xff"])
def test_a_request_that_makes_no_sense_gets_groqs_shape_of_error(server, body):
    answer = httpx.post(
        f"{server.url}/openai/v1/chat/completions",
        content=body,
        headers={"authorization": "Bearer gsk_lab"},
    )

    assert answer.status_code == 400
    assert set(answer.json()["error"]) == {"message", "type", "code"}


@pytest.mark.parametrize("change", [{"delay_s": -1}, {"delay_s": "soon"}, {"unknown": 1}])
def test_a_behaviour_that_does_not_exist_is_refused_and_changes_nothing(server, change):
    with pytest.raises(httpx.HTTPStatusError):
        server.behave(**change)

    assert httpx.get(f"{server.url}/_control").json()["delay_s"] == 0
