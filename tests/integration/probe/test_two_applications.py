"""Two applications of one process that share an engine: nothing of it is told or counted twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

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


@pytest.mark.parametrize("how", ["alike", "otherwise", "not given", "restarts"])
def test_an_engine_that_two_applications_share_is_told_once(
    engine, spans, settings, probes, caplog, how
):
    first, second = application(engine), application(engine)
    probes.append(why504.instrument(first, engine=engine, settings=settings))
    more = {
        "alike": {"settings": settings},
        "otherwise": {"settings": replace(settings, snapshot_after_s=9.0, hold_after_s=9.0)},
        "not given": {},
        "restarts": {"on_stall": "restart"},
    }[how]
    probes.append(why504.instrument(second, engine={"other": engine}, **more))
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
    warned = [r.getMessage() for r in caplog.records if "a probe already" in r.getMessage()]
    differs = {"otherwise": "snapshot_after_s, hold_after_s;", "restarts": "on_stall;"}
    assert len(warned) == (how in differs)
    assert all(differs[how] in one for one in warned)


def test_calls_of_two_applications_with_settings_of_their_own_are_told_once(
    engine, spans, settings, probes
):
    apps = [application(engine), application(engine)]
    for app, after_s in zip(apps, (0.2, 0.4), strict=True):
        own = replace(settings, snapshot_after_s=after_s)
        probes.append(why504.instrument(app, settings=own))
    answers = [asyncio.run(ask(app)) for app in apps]

    assert answers == [200, 200]
    shop = [
        s for s in spans.get_finished_spans() if s.attributes.get("server.address") == "shop.test"
    ]
    assert len(shop) == 2


def test_an_engine_that_was_shared_works_and_tells_nothing_once_the_probe_is_gone(
    engine, spans, settings
):
    apps = [application(engine), application(engine)]
    for app in apps:
        probe = why504.instrument(app, engine=engine, settings=settings)
    probe.shutdown()

    assert [asyncio.run(ask(app)) for app in apps] == [200, 200]
    assert "SELECT" not in {span.name for span in spans.get_finished_spans()}
    assert "connect" not in vars(engine.pool)
