"""Synchronous endpoints that take all threads: who waits for one, and whose work has them."""

from __future__ import annotations

import asyncio
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.request import urlopen

import httpx
import pytest
from anyio import to_thread
from anyio._backends._asyncio import CapacityLimiter
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pika.adapters.blocking_connection import BlockingChannel
from sqlalchemy import create_engine, text
from sqlalchemy.pool import StaticPool

import why504
from why504 import names

TOKENS = 3


def test_waits_and_holds_of_threads_name_the_endpoint(collector, settings, serving):
    app, release = FastAPI(), threading.Event()

    @app.get("/slow")
    def slow() -> None:
        release.wait(10)

    @app.get("/few")
    async def few() -> None:
        to_thread.current_default_thread_limiter().total_tokens = TOKENS

    probe = why504.instrument(app, settings=settings)
    try:
        with serving(app) as url, ThreadPoolExecutor(TOKENS + 2) as clients:
            httpx.get(f"{url}/few")
            asked = [
                clients.submit(httpx.get, f"{url}/slow", timeout=20) for _ in range(TOKENS + 2)
            ]
            waits = collector.wait_for(lambda: _two(collector.of_kind("wait", final=False)))
            holds = collector.wait_for(lambda: collector.of_kind("hold", final=False))
            release.set()
            assert {each.result().status_code for each in asked} == {200}
        probe.flush()
        ended = collector.wait_for(lambda: _two(collector.of_kind("wait", final=True)))
    finally:
        probe.shutdown()

    assert {w.attributes[names.RESOURCE] for w in [*waits, *holds]} == {names.THREADPOOL}
    assert waits[0].attributes[names.POOL_CAPACITY] == TOKENS
    assert {h.attributes[names.CODE_FUNCTION].split(".")[-1] for h in holds} == {"slow"}
    assert "release.wait" not in str(holds)
    assert {w.attributes[names.OUTCOME] for w in ended} == {"acquired"}
    assert any("in slow" in h.attributes.get(names.CODE_STACKTRACE, "") for h in holds) or any(
        ".slow" in h.attributes.get(names.CODE_STACKTRACE, "") for h in holds
    )


def _two(found: list) -> list | None:
    return found if len({each.trace_id for each in found}) >= 2 else None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of each thread")
@pytest.mark.parametrize(("computes", "least", "most"), [(True, 0.05, 1.1), (False, 0.0, 0.03)])
def test_a_request_tells_whether_its_thread_computes(
    computes, least, most, collector, settings, serving
):
    app, enough = FastAPI(), threading.Event()

    @app.get("/work")
    def work() -> None:
        while computes and not enough.is_set():
            sum(range(1000))
        enough.wait(10)

    def told() -> list:
        return [s for s in collector.of_kind("snapshot") if names.THREAD_CPU_SHARE in s.attributes]

    probe = why504.instrument(app, settings=settings)
    try:
        with serving(app) as url, ThreadPoolExecutor(1) as clients:
            asked = clients.submit(httpx.get, f"{url}/work", timeout=20)
            snapshots = collector.wait_for(told)
            enough.set()
            assert asked.result().status_code == 200
    finally:
        probe.shutdown()

    assert least <= snapshots[-1].attributes[names.THREAD_CPU_SHARE] <= most


def test_threads_that_are_free_write_nothing(collector, settings, serving):
    app = FastAPI()

    @app.get("/quick")
    def quick() -> None:
        """Answer at once."""

    probe = why504.instrument(app, settings=settings)
    try:
        with serving(app) as url:
            for _ in range(20):
                assert httpx.get(f"{url}/quick").status_code == 200
        probe.flush()
    finally:
        probe.shutdown()

    assert collector.of_kind("hold") == []
    assert collector.of_kind("wait") == []


@pytest.mark.parametrize("has_its_own", [True, False])
def test_spans_in_a_thread_keep_the_parent_that_the_applications_provider_gives_them(
    collector, settings, serving, has_its_own
):
    app, release, memory = FastAPI(), threading.Event(), InMemorySpanExporter()
    threads, lock = ThreadPoolExecutor(2), why504.resource("model", threading.Lock())
    if has_its_own:
        trace.set_tracer_provider(TracerProvider())

    def job() -> None:
        with trace.get_tracer("app").start_as_current_span("job"), lock:
            release.wait(10)

    def wait() -> None:
        with lock:
            """Nothing more is wanted."""

    @app.get("/hands-over")
    async def hands_over() -> None:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(threads, one) for one in (job, wait)))

    probe = why504.instrument(app, settings=settings)
    try:
        with serving(app) as url, ThreadPoolExecutor(1) as clients, threads:
            asked = clients.submit(httpx.get, f"{url}/hands-over", timeout=20)
            waits = collector.wait_for(lambda: collector.of_kind("wait", final=False))
            provider = trace.get_tracer_provider()
            provider.add_span_processor(SimpleSpanProcessor(memory))  # type: ignore[attr-defined]
            release.set()
            assert asked.result().status_code == 200
    finally:
        probe.shutdown()

    spans = {span.name.partition(" ")[0]: span for span in memory.get_finished_spans()}
    request = spans["GET"].context
    assert (spans["job"].parent is None) == has_its_own
    assert (spans["job"].context.trace_id == request.trace_id) != has_its_own
    assert waits[0].trace_id == f"{request.trace_id:032x}"


@pytest.mark.parametrize("has_its_own", [True, False])
def test_calls_in_a_thread_are_their_request_s_whoever_s_provider_makes_the_spans(
    settings, serving, has_its_own
):
    app, memory, threads = FastAPI(), InMemorySpanExporter(), ThreadPoolExecutor(2)
    if has_its_own:
        trace.set_tracer_provider(TracerProvider())
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    transport = httpx.MockTransport(lambda request: httpx.Response(200))

    def nested() -> None:
        with httpx.Client(transport=transport) as client:
            client.get("http://shop.test/")

    def job() -> None:
        with engine.connect() as connection:
            connection.execute(text("select 1"))
        threads.submit(nested).result()
        with trace.get_tracer("app").start_as_current_span("job"), engine.connect() as connection:
            connection.execute(text("insert into seen select 1 where 1 = 0"))

    @app.get("/hands-over")
    async def hands_over() -> None:
        await asyncio.get_running_loop().run_in_executor(threads, job)

    with engine.begin() as connection:
        connection.execute(text("create table seen (number int)"))
    probe = why504.instrument(app, engine=engine, settings=settings)
    try:
        with serving(app) as url, threads:
            probe._core.spans.claim()
            provider = trace.get_tracer_provider()
            provider.add_span_processor(SimpleSpanProcessor(memory))  # type: ignore[attr-defined]
            # Not by httpx of this process: a span of the asking side would be the request's parent.
            with urlopen(f"{url}/hands-over", timeout=20) as answer:
                assert answer.status == 200
    finally:
        probe.shutdown()

    spans = {span.name: span for span in memory.get_finished_spans()}
    # FastAPI has spans of its own where the application has a provider.
    request = spans["fastapi.endpoint" if has_its_own else "GET /hands-over"].context.span_id
    parents = {name: span.parent and span.parent.span_id for name, span in spans.items()}
    assert parents["SELECT"] == parents["GET"] == request
    # The application's own spans are within what its provider says, and calls within them.
    assert parents["job"] == (None if has_its_own else request)
    assert parents["INSERT seen"] == spans["job"].context.span_id


@pytest.mark.parametrize("method", ["acquire_on_behalf_of", "release_on_behalf_of"])
def test_shutdown_gives_anyio_its_own_methods_back(settings, method):
    before = getattr(CapacityLimiter, method)
    probe = why504.instrument(FastAPI(), settings=settings)
    probe.start()
    during = getattr(CapacityLimiter, method)
    probe.shutdown()

    assert during is not before
    assert getattr(CapacityLimiter, method) is before


@pytest.mark.parametrize(
    ("owner", "method"),
    [
        (ThreadPoolExecutor, "submit"),
        (threading.Thread, "start"),
        (CapacityLimiter, "acquire_on_behalf_of"),
        (BlockingChannel, "basic_ack"),
    ],
    ids=lambda one: one if isinstance(one, str) else one.__name__,
)
def test_what_somebody_puts_in_place_later_is_still_there_after_shutdown(
    settings, monkeypatch, owner, method
):
    monkeypatch.setattr(owner, method, getattr(owner, method))  # given back at the end
    probe = why504.instrument(FastAPI(), settings=settings)
    probe.start()
    ours = getattr(owner, method)

    def theirs(*args: object, **options: object) -> object:
        return ours(*args, **options)

    setattr(owner, method, theirs)
    probe.shutdown()

    assert getattr(owner, method) is theirs
