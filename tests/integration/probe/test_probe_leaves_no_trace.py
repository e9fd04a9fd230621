"""The probe keeps nothing of what has ended, and takes nothing that is the application's."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import subprocess
import sys
import weakref
from collections.abc import Iterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

import httpx
import pytest
from fastapi import FastAPI, Request
from opentelemetry import baggage, context
from starlette.testclient import TestClient

import why504
from why504.config import ProbeSettings
from why504.probe.probe import Probe

NOWHERE = "http://127.0.0.1:9"
LATE_SET_UP = """
import sqlalchemy
with sqlalchemy.create_engine("sqlite://").connect() as connection:
    connection.execute(sqlalchemy.text("select 1"))  # its settings, for example
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
told, mine = InMemorySpanExporter(), TracerProvider()
mine.add_span_processor(SimpleSpanProcessor(told))
trace.set_tracer_provider(mine)
with trace.get_tracer("job").start_as_current_span("job"):
    pass
print(trace.get_tracer_provider() is mine, [span.name for span in told.get_finished_spans()])
"""


class Large:
    """Something that a request has."""


LARGE: ContextVar[Large] = ContextVar("large")


@pytest.fixture
def probes() -> Iterator[list[Probe]]:
    before = list(Probe.living)
    yield Probe.living
    for probe in [one for one in Probe.living if one not in before]:
        probe.shutdown()


def settings(**more: object) -> ProbeSettings:
    return ProbeSettings(endpoint=NOWHERE, **{"metrics_port": -1, **more})  # type: ignore[arg-type]


async def test_what_the_first_request_s_context_has_is_gone_with_it(probes):
    app, large = FastAPI(), weakref.WeakSet()

    @app.get("/")
    async def root() -> int:
        return 1

    async def outermost(scope, receive, send):
        mine = Large()
        LARGE.set(mine)
        large.add(mine)
        await app(scope, receive, send)

    async def ask() -> int:
        transport = httpx.ASGITransport(outermost)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return (await client.get("/")).json()

    why504.instrument(app, settings=settings())
    assert await asyncio.create_task(ask()) == 1
    await asyncio.sleep(0.5)  # the loop's heartbeat goes on
    gc.collect()

    assert len(large) == 0


def test_a_task_that_goes_on_keeps_nothing_of_the_request_that_began_it(probes):
    app, large, tasks = FastAPI(), weakref.WeakSet(), []

    @app.get("/")
    async def root(request: Request) -> int:
        request.state.has = Large()
        large.add(request.state.has)
        tasks.append(asyncio.create_task(asyncio.sleep(60)))
        return 1

    why504.instrument(app, settings=settings())
    with TestClient(app) as client:
        for _ in range(5):
            client.get("/")
        assert len(large) <= 1


def test_baggage_from_outside_of_the_application_stays_though_a_parent_comes(probes):
    app, seen = FastAPI(), []

    @app.get("/")
    async def root() -> None:
        seen.append(baggage.get_all())

    why504.instrument(app, settings=settings())

    async def outermost(scope, receive, send):
        token = context.attach(baggage.set_baggage("tenant", "acme"))
        try:
            await app(scope, receive, send)
        finally:
            context.detach(token)

    parent = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
    client = TestClient(outermost)
    for headers in ({}, parent, {**parent, "tracestate": "a=b"}):
        client.get("/", headers=headers)

    assert seen == [{"tenant": "acme"}] * 3


def test_a_port_that_the_application_opens_when_it_starts_is_its_own(probes):
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    theirs = []

    @asynccontextmanager
    async def lifespan(_: FastAPI):
        with socket.create_server(("127.0.0.1", port)) as listening:
            theirs.append(listening.getsockname()[1])
            yield

    app = FastAPI(lifespan=lifespan)
    probe = why504.instrument(app, settings=settings(metrics_port=port))
    with TestClient(app):
        assert theirs == [port]
        assert probe._page.port not in {-1, port}  # open as soon as the application serves
        page = f"http://127.0.0.1:{probe.port}/healthz"
        assert httpx.get(page, trust_env=False).text == "ok\n"


def test_two_applications_of_a_process_have_one_probe(probes):
    first, second = FastAPI(), FastAPI()
    first.mount("/second", second)
    probe = why504.instrument(first, settings=settings())

    assert why504.instrument(second) is probe
    assert why504.instrument(second) is probe


def test_names_that_others_spans_and_metrics_have_are_not_changed(probes, monkeypatch):
    monkeypatch.delenv("OTEL_SEMCONV_STABILITY_OPT_IN", raising=False)
    why504.instrument(FastAPI(), settings=settings())

    assert "OTEL_SEMCONV_STABILITY_OPT_IN" not in os.environ


def test_a_program_may_set_its_tracing_up_after_its_first_call(tmp_path):
    (tmp_path / "job.py").write_text(LATE_SET_UP)
    command = [sys.executable, "-m", "why504.cli", "run", sys.executable, "job.py"]
    env = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": NOWHERE, "WHY504_METRICS_PORT": "-1"}
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.stdout == "True ['job']\n", done.stderr
