"""Executors whose threads are all busy: who is queued, and whose work has the threads."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI

import why504
from why504 import names

RESOURCE = "threadpool:narrow"


@pytest.fixture
def release() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def service(began: threading.Semaphore, release: threading.Event) -> FastAPI:
    """Return one that has an executor of two threads, once it was asked for `/narrow`."""
    app = FastAPI()

    def block() -> None:
        began.release()
        release.wait(20)

    @app.get("/narrow")
    async def narrow() -> None:
        executor = ThreadPoolExecutor(2, thread_name_prefix="narrow")
        asyncio.get_running_loop().set_default_executor(executor)

    @app.get("/block")
    async def blocks() -> None:
        await asyncio.to_thread(block)

    def pause() -> None:
        time.sleep(0.3)

    @app.get("/pause")
    async def pauses() -> None:
        await asyncio.to_thread(pause)

    @app.get("/limited")
    async def limited() -> None:
        try:
            await asyncio.wait_for(asyncio.to_thread(block), 0.5)
        except TimeoutError:
            return

    @app.get("/ask")
    async def ask() -> int:
        async with httpx.AsyncClient() as client:
            return (await client.get("http://localhost:9/")).status_code

    return app


@pytest.fixture
def asked(settings, serving, release):
    """How to ask it for several paths at once, of which the first two are begun."""
    began = threading.Semaphore(0)
    app = service(began, release)

    @contextmanager
    def asked(*paths: str) -> Iterator[SimpleNamespace]:
        probe = why504.instrument(app, settings=settings)
        try:
            with serving(app) as url, ThreadPoolExecutor(8) as clients:
                httpx.get(f"{url}/narrow")

                def get(path: str) -> int:
                    return httpx.get(f"{url}{path}", timeout=30).status_code

                for path in paths[:2]:
                    clients.submit(get, path)
                    assert path != "/block" or began.acquire(timeout=20)
                later = [clients.submit(get, path) for path in paths[2:]]
                yield SimpleNamespace(probe=probe, later=later)
                release.set()
            probe.flush()
        finally:
            release.set()
            probe.shutdown()

    return asked


def of(found: list, resource: str = RESOURCE) -> list:
    return [each for each in found if each.attributes[names.RESOURCE] == resource]


def test_work_that_no_thread_is_free_for_is_a_wait_and_what_has_the_threads_is_held(
    collector, asked
):
    with asked("/block", "/block", "/block", "/block"):
        waits = collector.wait_for(lambda: of(collector.of_kind("wait", final=False)))
        holds = collector.wait_for(
            lambda: (
                len({h.trace_id for h in of(collector.of_kind("hold", final=False))}) == 2
                and of(collector.of_kind("hold", final=False))
            )
        )
    ended = collector.wait_for(lambda: of(collector.of_kind("wait", final=True)))

    assert waits[0].attributes[names.POOL_CAPACITY] == 2
    assert waits[0].attributes[names.CODE_FUNCTION].endswith("blocks")
    assert {h.attributes[names.CODE_FUNCTION].split(".")[-1] for h in holds} == {"block"}
    assert not {h.trace_id for h in holds} & {w.trace_id for w in waits}
    assert "in service.<locals>.block" in holds[-1].attributes[names.CODE_STACKTRACE]
    first = min(waits, key=lambda wait: wait.start_ns)
    assert {h.start_ns for h in holds} == {first.start_ns}, "they had begun before it came"
    assert {w.attributes[names.OUTCOME] for w in ended} == {"acquired"}


def test_work_that_was_queued_holds_its_thread_once_it_runs(collector, asked, release):
    with asked("/block", "/block", "/pause"):
        wait = collector.wait_for(lambda: of(collector.of_kind("wait", final=False)))[0]
        release.set()

    def of_the_second() -> list:
        holds = of(collector.of_kind("hold", final=True))
        return [each for each in holds if each.trace_id == wait.trace_id]

    (hold,) = collector.wait_for(of_the_second)
    (over,) = of(collector.of_kind("wait", final=True))
    assert hold.attributes[names.CODE_FUNCTION].endswith("pause")
    assert 0 <= hold.start_ns - over.end_ns < 100e6, "from the moment on at which its wait is over"


def test_work_that_is_cancelled_in_the_queue_waits_no_more(collector, asked):
    with asked("/block", "/block", "/limited") as told:
        assert told.later[0].result() == 200
        ended = collector.wait_for(lambda: of(collector.of_kind("wait", final=True)))

    assert {w.attributes[names.OUTCOME] for w in ended} == {"cancelled"}


def test_a_name_that_no_thread_is_free_to_look_up_waits_for_the_thread(collector, asked):
    with asked("/block", "/block", "/ask"):
        wait = collector.wait_for(lambda: of(collector.of_kind("wait", final=False)))[0]
        lookup = collector.wait_for(
            lambda: [s for s in collector.spans if s.name.startswith("snapshot dns")]
        )[0]

    assert wait.parent_id == lookup.attributes[names.SNAPSHOT_OF]
    assert wait.attributes[names.CODE_FUNCTION].endswith("ask")


def test_nothing_is_told_while_a_thread_is_free(collector, asked):
    with asked("/block", "/ask") as told:
        time.sleep(0.6)
        told.probe.flush()

    assert of(collector.of_kind("wait")) + of(collector.of_kind("hold")) == []


def test_nothing_stays_open_of_an_executor_that_is_gone(collector, settings, serving):
    app = FastAPI()

    @app.get("/brief")
    def brief() -> None:
        with ThreadPoolExecutor(1, thread_name_prefix="brief") as executor:
            executor.submit(time.sleep, 0.8)
            executor.submit(time.sleep, 0)

    probe = why504.instrument(app, settings=settings)
    try:
        with serving(app) as url:
            httpx.get(f"{url}/brief", timeout=20)
            holds = collector.wait_for(
                lambda: of(collector.of_kind("hold", final=True), "threadpool:brief")
            )
            left = {record.resource for record in list(probe.book.open_records.values())}
    finally:
        probe.shutdown()

    assert holds
    assert left <= {names.THREADPOOL}


def test_shutdown_gives_executors_their_own_method_back(settings):
    before = ThreadPoolExecutor.submit
    probe = why504.instrument(FastAPI(), settings=settings)
    probe.start()
    during = ThreadPoolExecutor.submit
    probe.shutdown()

    assert during is not before
    assert ThreadPoolExecutor.submit is before
