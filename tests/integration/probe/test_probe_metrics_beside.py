"""What /metrics tells besides requests and pools: the application's own, threads, the process."""

from __future__ import annotations

import asyncio
import threading
import time

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry import trace
from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import QueuePool

import why504
from why504 import names
from why504.config import ProbeSettings


def scraped(port: int) -> dict[str, float]:
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False)
    families = list(text_string_to_metric_families(answer.text))
    assert len({family.name for family in families}) == len(families)
    return {
        sample.name: sample.value
        for family in families
        for sample in family.samples
        if not sample.labels
    }


@pytest.fixture
def settings(collector) -> ProbeSettings:
    return ProbeSettings(endpoint=collector.endpoint, metrics_port=0)


def test_the_application_s_own_metrics_are_served_beside_the_probe_s(settings):
    theirs = CollectorRegistry()
    Counter("orders", "Orders.", registry=theirs).inc(3)
    probe = why504.instrument(FastAPI(), metrics=theirs, settings=settings)
    try:
        seen = scraped(probe.port)
    finally:
        probe.shutdown()

    assert seen["orders_total"] == 3
    assert seen["process_resident_memory_bytes"] > 1e6


def test_a_metric_of_theirs_with_our_name_spoils_nothing(settings):
    theirs = CollectorRegistry()
    Gauge(names.METRIC_INFLIGHT_OLDEST_S, "Not ours.", registry=theirs).set(77)
    Gauge("theirs_alone", "Theirs.", registry=theirs).set(1)
    probe = why504.instrument(FastAPI(), metrics=theirs, settings=settings)
    try:
        seen = scraped(probe.port)
    finally:
        probe.shutdown()

    assert seen[names.METRIC_INFLIGHT_OLDEST_S] == 0
    assert seen["theirs_alone"] == 1


async def test_threads_of_synchronous_endpoints_are_counted_while_they_run(settings):
    app = FastAPI()
    release = threading.Event()

    @app.get("/sync")
    def sync() -> None:
        release.wait(10)

    probe = why504.instrument(app, settings=settings)
    transport = httpx.ASGITransport(app)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            running = [asyncio.create_task(client.get("/sync")) for _ in range(43)]
            seen = await asyncio.to_thread(_once_three_wait, probe.port)
            release.set()
            await asyncio.gather(*running)
        after = await asyncio.to_thread(scraped, probe.port)
    finally:
        release.set()
        probe.shutdown()

    assert seen[names.METRIC_THREADPOOL_USED] == seen[names.METRIC_THREADPOOL_MAX] == 40
    assert seen[names.METRIC_THREADPOOL_WAITING] == 3
    assert after[names.METRIC_THREADPOOL_USED] == after[names.METRIC_THREADPOOL_WAITING] == 0


def _once_three_wait(port: int) -> dict[str, float]:
    for _ in range(200):
        seen = scraped(port)
        if seen[names.METRIC_THREADPOOL_WAITING] == 3:
            return seen
        threading.Event().wait(0.02)
    raise AssertionError(f"never saw three wait: {seen}")


async def test_a_program_without_http_is_watched_too(settings, collector):
    probe = why504.instrument(None, settings=settings)
    try:
        with trace.get_tracer("job").start_as_current_span("job"):
            threading.Event().wait(0.6)
            await asyncio.sleep(0)
        seen = await asyncio.to_thread(scraped, probe.port)
        (stall,) = await asyncio.to_thread(
            collector.wait_for, lambda: collector.of_kind(names.STALL, final=True)
        )
    finally:
        await asyncio.to_thread(probe.shutdown)

    assert seen[names.METRIC_LOOP_STALLS] == 1
    assert 0.4 < stall.seconds < 10
    assert stall.attributes[names.CODE_FILE].endswith("test_probe_metrics_beside.py")


def of_the_pool(port: int, name: str) -> float:
    """Return the value of a metric of the one pool that there is."""
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False)
    (value,) = (
        sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.name == name
    )
    return value


def test_connections_that_could_not_be_opened_are_counted_from_0(settings):
    engine = create_engine("postgresql+psycopg://nobody@127.0.0.1:9/none")
    probe = why504.instrument(FastAPI(), engine=engine, settings=settings)
    try:
        before = of_the_pool(probe.port, names.METRIC_POOL_ERRORS)
        for _ in range(2):
            with pytest.raises(OperationalError):
                engine.connect()
        after = of_the_pool(probe.port, names.METRIC_POOL_ERRORS)
    finally:
        probe.shutdown()
        engine.dispose()

    assert (before, after) == (0, 2)


def test_a_connection_that_is_kept_has_an_age_while_it_is_kept(settings):
    engine = create_engine("sqlite://", poolclass=QueuePool)
    probe = why504.instrument(FastAPI(), engine=engine, settings=settings)
    try:
        with engine.connect():
            time.sleep(0.05)
            kept_s = of_the_pool(probe.port, names.METRIC_POOL_OLDEST_USE_S)
        after_s = of_the_pool(probe.port, names.METRIC_POOL_OLDEST_USE_S)
    finally:
        probe.shutdown()
        engine.dispose()

    assert 0.05 <= kept_s < 5
    assert after_s == 0
