"""Named locks in a served application: told while they last, whatever else stands still."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
from fastapi import FastAPI

import why504
from why504 import names


def test_a_wait_that_blocks_the_loop_and_its_holder_are_told_meanwhile(
    collector, settings, serving
):
    app, enough, taken = FastAPI(), threading.Event(), threading.Event()
    stock = why504.resource("stock", threading.Lock())

    @app.get("/holder")
    def holder() -> None:
        with stock:
            taken.set()
            enough.wait(20)

    @app.get("/waiter")
    async def waiter() -> None:
        with stock:  # of threading: the event loop stands still here
            pass

    def told(kind: str) -> list:
        found = collector.of_kind(kind, final=False)
        return [one for one in found if one.attributes[names.RESOURCE] == "lock:stock"]

    probe = why504.instrument(app, settings=settings)
    try:
        with serving(app) as url, ThreadPoolExecutor(2) as clients:
            asked = [clients.submit(httpx.get, f"{url}/holder", timeout=30)]
            assert taken.wait(10)
            asked.append(clients.submit(httpx.get, f"{url}/waiter", timeout=30))
            try:
                wait = collector.wait_for(lambda: told(names.WAIT))[0]
                stall = collector.wait_for(lambda: collector.of_kind(names.STALL, final=False))[0]
                holds = collector.wait_for(lambda: told(names.HOLD))
            finally:
                enough.set()
            assert {each.result().status_code for each in asked} == {200}
        probe.flush()
        (over,) = collector.wait_for(lambda: collector.of_kind(names.WAIT, final=True))
    finally:
        probe.shutdown()

    assert wait.attributes[names.CODE_FUNCTION].endswith("waiter")
    assert (wait.trace_id, wait.trace_id) == (stall.trace_id, over.trace_id)
    assert over.attributes[names.OUTCOME] == "acquired"
    assert holds[0].trace_id != wait.trace_id
    assert holds[0].attributes[names.CODE_FUNCTION].endswith("holder")
    assert any("Event.wait" in one.attributes[names.CODE_STACKTRACE] for one in holds)


def test_a_task_of_the_background_that_has_a_lock_is_told_in_a_trace_of_its_own(
    collector, settings, serving
):
    app, started = FastAPI(), []
    model = why504.resource("model", asyncio.Lock())

    async def warm_up() -> None:
        async with model:
            await asyncio.sleep(1.0)

    @app.get("/start")
    async def start() -> None:
        import contextvars

        started.append(asyncio.create_task(warm_up(), context=contextvars.Context()))

    @app.get("/ask")
    async def ask() -> None:
        async with model:
            pass

    probe = why504.instrument(app, settings=settings)
    try:
        with serving(app) as url:
            assert httpx.get(f"{url}/start").status_code == 200
            assert httpx.get(f"{url}/ask").status_code == 200
        probe.flush()
        (hold,) = collector.wait_for(lambda: collector.of_kind(names.HOLD, final=True))
        (wait,) = collector.of_kind(names.WAIT, final=True)
    finally:
        probe.shutdown()

    assert hold.parent_id == ""
    assert hold.trace_id != wait.trace_id
    assert wait.trace_id in {server.trace_id for server in collector.servers()}
    assert hold.attributes[names.CODE_FUNCTION].endswith("warm_up")
    open_ones = [one for one in collector.of_kind(names.HOLD) if one is not hold]
    assert any("warm_up" in one.attributes.get(names.CODE_STACKTRACE, "") for one in open_ones)
