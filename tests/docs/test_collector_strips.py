"""otel/collector.yaml strips words and accounts, and leaves evidence alone."""

from __future__ import annotations

import re

import pytest
from test_collector import BOTH, CONFIG

from why504 import names


def patterns(*processors: str, of: str = "span") -> list[re.Pattern[str]]:
    """Of keys that are deleted; Go's expressions of this form are Python's too."""
    statements = [s for p in processors for s in CONFIG["processors"][p]["trace_statements"]]
    found = re.findall(
        rf'delete_matching_keys\({of}\.attributes, "((?:[^"\\]|\\.)*)"\)', "\n".join(statements)
    )
    return [re.compile(text.replace("\\\\", "\\")) for text in found]


WORDS = [
    "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions",
    "gen_ai.prompt", "gen_ai.prompt.0.content", "gen_ai.completion.0.content",
    "gen_ai.tool.definitions", "gen_ai.tool.call.arguments", "gen_ai.tool.call.result",
    "input.value", "output.value", "llm.input_messages.0.message.content", "llm.prompts",
    "llm.output_messages.0.message.content", "retrieval.documents.0.document.content",
    "embedding.embeddings.0.embedding.text", "embedding.embeddings.0.embedding.vector",
    "traceloop.entity.input", "traceloop.entity.output", "langfuse.observation.input",
    "langfuse.observation.output", "langfuse.trace.input", "ai.prompt.messages",
    "ai.response.text", "ai.toolCall.args",
]  # fmt: skip
ACCOUNTS = [
    "http.request.header.authorization", "http.request.header.cookie",
    "http.response.header.set-cookie", "http.request.header.x-api-key", "url.query",
    "http.request.header.x-auth-token", "authorization", "password", "db.query.parameter.0",
]  # fmt: skip
OURS = sorted(
    value
    for name, value in vars(names).items()
    if name.isupper()
    and isinstance(value, str)
    and re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)+", value)
)


@pytest.mark.parametrize("key", WORDS)
def test_words_of_a_conversation_do_not_reach_tempo(key):
    assert any(pattern.search(key) for pattern in patterns("transform/words"))


@pytest.mark.parametrize("key", ACCOUNTS)
def test_accounts_reach_nobody(key):
    assert any(pattern.search(key) for pattern in patterns("transform/accounts"))
    assert "transform/accounts" in BOTH["service"]["pipelines"]["traces/langfuse"]["processors"]


def test_langfuse_gets_the_words():
    processors = BOTH["service"]["pipelines"]["traces/langfuse"]["processors"]

    assert "transform/words" not in processors


@pytest.mark.parametrize("key", ["gen_ai.user.message", "content", "message.content"])
def test_events_lose_their_words_and_keep_what_went_wrong(key):
    found = patterns("transform/words", of="spanevent")

    assert any(p.search(key) for p in found)
    assert not any(p.search("exception.stacktrace") for p in found)


def test_nothing_that_evidence_is_made_of_is_stripped():
    found = patterns("transform/words", "transform/accounts")

    assert OURS
    assert [key for key in OURS if any(pattern.search(key) for pattern in found)] == []


SECRETS = [
    "Authorization: Bearer abcdefgh12345", "basic dXNlcjpwYXNzd29yZDEyMw==",
    "sk-proj-abcdefghijklmnopqrst", "gsk_abcdefghijklmnopqrstuvwx", "AKIAABCDEFGHIJKLMNOP",
    "postgresql://app:hunter22@db:5432/app", "eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl",
]  # fmt: skip
HARMLESS = [
    "SELECT * FROM pk_friendship_status_user_id_index WHERE id = $1", "basic connection failed",
    'File "/app/service/infrastructure/db/unit_of_work.py", line 41, in __aenter__',
    "task-runner-with-a-rather-long-name", "postgresql://db:5432/app", "db.lock:orders#4242",
]  # fmt: skip


def masked(text: str) -> bool:
    blocked = CONFIG["processors"]["redaction/secrets"]["blocked_values"]
    return any(re.search(pattern, text) for pattern in blocked)


@pytest.mark.parametrize("text", SECRETS)
def test_what_looks_like_a_secret_is_masked(text):
    assert masked(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_evidence_reads_like_is_not(text):
    assert not masked(text)


@pytest.mark.parametrize(
    ("url", "left"),
    [
        ("https://api.example.com/v1/chat?key=secret", "https://api.example.com/v1/chat"),
        ("https://user:secret@api.example.com/v1#x", "https://api.example.com/v1"),
        ("https://api.example.com/v1/chat", "https://api.example.com/v1/chat"),
    ],
)
def test_an_address_keeps_neither_query_nor_account(url, left):
    statements = CONFIG["processors"]["transform/accounts"]["trace_statements"]
    for statement in statements:
        if match := re.match(r'replace_pattern\(span\.attributes\["url\.full"\], "(.*)", "(.*)"\)',
                             statement):  # fmt: skip
            url = re.sub(match[1], match[2], url)

    assert url == left
