"""Clients of LLMs that try again: each attempt, and each pause with what it was asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import groq
import openai
import pytest

from tests.lines import HERE
from why504 import names

line_of = HERE(__file__)
ANSWER = b'{"id":"1","choices":[],"created":1,"model":"m","object":"chat.completion"}'


@pytest.fixture
def url() -> Iterator[str]:
    """An API that refuses once, and then answers."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(self.path)
            first = len(asked) == 1
            self.send_response(429 if first else 200)
            if first:
                self.send_header("Retry-After", "0.1")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(ANSWER)))
            self.end_headers()
            self.wfile.write(ANSWER)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,)).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def what_was_told(told, provider: str) -> None:
    (wait,) = told.finals(names.WAIT, "backoff:")
    assert wait.attributes[names.RESOURCE] == f"backoff:{provider}"
    assert wait.attributes[names.BACKOFF_STATUS] == 429
    assert wait.attributes[names.RETRY_AFTER_S] == 0.1
    assert wait.attributes[names.CODE_LINE] == line_of(provider)
    first, second = told.spans("POST")
    assert [span.attributes[names.HTTP_STATUS] for span in (first, second)] == [429, 200]
    assert first.end_time <= wait.start_ns < wait.end_ns <= second.start_time
    assert {span.attributes.get(names.CLIENT_UNLIMITED) for span in (first, second)} == {True}


def test_a_thread_that_pauses_says_after_which_status_and_for_how_long(told, url):
    with groq.Groq(api_key="k", base_url=url, timeout=None) as client, told.request():
        client.chat.completions.create(model="m", messages=[])  # groq

    what_was_told(told, "groq")


async def test_a_task_says_the_same(told, url):
    async with openai.AsyncOpenAI(api_key="k", base_url=url, timeout=None) as client:
        with told.request():
            await client.chat.completions.create(model="m", messages=[])  # openai

    what_was_told(told, "openai")
