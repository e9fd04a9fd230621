"""Two applications of one process that share an engine: nothing of it is told or counted twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import QueuePool

import why504
from why504.probe.probe import Probe

WAITED = "db_client_connection_wait_time_seconds_count"
USED = "db_client_connection_use_time_seconds_count"


@pytest.fixture
def engine() -> Iterator[Engine]:
    shared = {"check_same_thread": False}
    made = create_engine(
        "sqlite://", poolclass=QueuePool, pool_size=1, max_overflow=0, connect_args=shared
    )
    yield made
    made.dispose()


@pytest.fixture
def spans() -> InMemorySpanExporter:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture
def probes() -> Iterator[list[Probe]]:
    made: list[Probe] = []
    yield made
    for probe in made:
        probe.shutdown()


def application(engine: Engine) -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def root() -> None:
        transport = httpx.MockTransport(lambda request: httpx.Response(200))
        with engine.connect() as connection, httpx.Client(transport=transport) as client:
            connection.execute(text("select 1"))
            client.get("http://shop.test/")

    return app


async def ask(app: FastAPI) -> int:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        return (await client.get("/")).status_code


def test_an_engine_that_two_applications_share_is_told_once(engine, spans, settings, probes):
    first, second = application(engine), application(engine)
    probes.append(why504.instrument(first, engine=engine, settings=settings))
    probes.append(why504.instrument(second, engine={"other": engine}))
    answers = [asyncio.run(ask(app)) for app in (first, second)]

    assert answers == [200, 200]
    told = Counter(span.name for span in spans.get_finished_spans())
    assert told["SELECT"] == 2
    assert told["connect"] == 1
    assert all("connect" not in entry.name for entry in probes[0].registry.spans.values())
    counted = [probes[0].metrics.registry.get_sample_value(USED, {"pool": "main"})]
    counted.append(probes[0].metrics.registry.get_sample_value(WAITED, {"pool": "other"}))
    assert counted == [2, None]
    assert [pool.name for pool in probes[0].pools] == ["main"]
