"""Outgoing HTTP calls: an attempt is a span, with what tells a refusal from slowness."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import groq
import httpx
import pytest
from fastapi import FastAPI

import why504
from why504 import names
from why504.probe.clients.httpcalls import retry_after_s

SECRET = "sk-very-secret-4711"


class Api:
    """Refuses twice with 429, then answers; /hang never does."""

    def __init__(self) -> None:
        self.asked = 0
        self.over = threading.Event()
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.path.startswith("/hang"):
                    api.over.wait(10)
                    return
                api.asked += 1
                refused = api.asked <= 2
                body = (
                    b"{}"
                    if refused
                    else b'{"id":"1","choices":[],"created":1,"model":"m","object":"o"}'
                )
                self.send_response(429 if refused else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                if refused:
                    self.send_header("Retry-After", "0.2")
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.01,)).start()
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"


@pytest.fixture
def api() -> Iterator[Api]:
    found = Api()
    yield found
    found.over.set()
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def probe(settings):
    found = why504.instrument(FastAPI(), settings=settings)
    found.start()
    yield found
    found.shutdown()


def attempts(collector) -> list:
    found = [s for s in collector.spans if s.kind == 3 and names.URL_PATH in s.attributes]
    return sorted(found, key=lambda span: span.start_ns)


def attempts_that_ended(collector) -> list:
    return [s for s in attempts(collector) if names.KIND not in s.attributes]


def test_an_llm_client_that_tries_again_shows_each_refusal(api, probe, collector):
    client = groq.Groq(api_key=SECRET, base_url=api.url, timeout=7.0, max_retries=3)
    tracer = probe._core.spans.serving.get_tracer("test")
    told = {names.GEN_AI_PROVIDER: "groq", names.GEN_AI_MODEL: "llama"}
    with tracer.start_as_current_span("chat llama", attributes=told):
        client.chat.completions.create(model="llama", messages=[])
    probe.flush()

    found = attempts(collector)
    assert [s.attributes[names.HTTP_STATUS] for s in found] == [429, 429, 200]
    assert [s.attributes.get(names.RETRY_AFTER_S) for s in found] == [0.2, 0.2, None]
    assert {s.attributes[names.GEN_AI_PROVIDER] for s in found} == {"groq"}
    assert {s.attributes[names.CLIENT_TIMEOUT_S] for s in found} == {7.0}
    assert found[2].attributes["http.request.resend_count"] == 2
    assert {s.attributes[names.CODE_FILE] for s in found} == {
        "tests/integration/probe/test_probe_outgoing.py"
    }
    assert SECRET not in str(collector.spans)


async def test_a_call_that_hangs_is_told_while_it_hangs_and_ends_when_cancelled(
    api, probe, collector
):
    tracer = probe._core.spans.serving.get_tracer("test")

    async def call() -> None:
        with tracer.start_as_current_span("work"):
            async with httpx.AsyncClient(timeout=None) as client:
                await client.get(f"{api.url}/hang?key={SECRET}")

    task = asyncio.create_task(call())
    snapshot = await asyncio.to_thread(
        collector.wait_for,
        lambda: [s for s in collector.of_kind("snapshot") if s.attributes.get(names.URL_PATH)],
    )
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    probe.flush()

    assert snapshot[0].attributes[names.URL_PATH] == "/hang"
    assert names.CLIENT_TIMEOUT_S not in snapshot[0].attributes
    (ended,) = attempts_that_ended(collector)
    assert ended.attributes[names.ERROR_TYPE] == "CancelledError"
    assert SECRET not in str(collector.spans)


def test_calls_outside_a_trace_are_nobodys(api, probe, collector):
    httpx.post(f"{api.url}/v1")
    probe.flush()

    assert attempts(collector) == []


def test_shutdown_gives_httpx_its_own_methods_back(settings):
    before = httpx.Client.send, httpx.AsyncClient.send
    probe = why504.instrument(FastAPI(), settings=settings)
    probe.start()
    during = httpx.Client.send, httpx.AsyncClient.send
    probe.shutdown()

    assert all(a is not b for a, b in zip(before, during, strict=True))
    assert (httpx.Client.send, httpx.AsyncClient.send) == before


@pytest.mark.parametrize(
    ("told", "seconds"),
    [("2", 2.0), ("0.5", 0.5), ("-1", 0.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("soon", None)],
)
def test_retry_after_is_read_as_seconds_or_a_date(told, seconds):
    assert retry_after_s(told) == seconds


UNSAMPLED = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"}


def test_a_long_call_of_a_request_that_is_not_sampled_is_told_by_a_span_of_its_own(
    api, settings, collector, serving
):
    """Its own task waits for others: only the call itself shows where the time goes."""
    api.asked = 2  # from here on it refuses nobody
    app = FastAPI()

    async def ask(client: httpx.AsyncClient, path: str) -> None:
        await client.get(api.url + path)  # asking

    @app.get("/both")
    async def both() -> str:
        async with httpx.AsyncClient(timeout=20) as client:
            await asyncio.gather(
                ask(client, "/hang"), ask(client, "/quick"), return_exceptions=True
            )
        return "ok"

    probe = why504.instrument(app, settings=settings)
    try:
        with serving(app) as url:
            threading.Timer(1.5, api.over.set).start()
            assert httpx.get(f"{url}/both", headers=UNSAMPLED, timeout=20).text == '"ok"'
        probe.flush()
    finally:
        probe.shutdown()

    text = Path(__file__).read_text().splitlines()
    line = next(n for n, each in enumerate(text, 1) if each.endswith("# asking"))
    (call,) = attempts_that_ended(collector)  # the quick one is not worth a word
    assert (call.attributes[names.URL_PATH], call.attributes[names.CODE_LINE]) == ("/hang", line)
    told = [s for s in collector.of_kind(names.SNAPSHOT) if s.name == "snapshot GET"]
    assert told
    for snapshot in told:
        assert snapshot.attributes[names.SNAPSHOT_OF] == call.span_id
        assert snapshot.attributes[names.CODE_LINE] == line
        assert "httpcore/" in snapshot.attributes[names.CODE_STACKTRACE]
    (server,) = collector.servers()
    assert call.parent_id == server.span_id
    assert probe.registry.spans == {}
