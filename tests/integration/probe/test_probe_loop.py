"""A loop that is blocked: told while it is blocked, with the line and the trace."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

import why504
from why504 import names

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def blocking_line() -> int:
    lines = Path(__file__).read_text().splitlines()
    return next(
        n for n, text in enumerate(lines, 1) if "# this line" in text and "next(" not in text
    )


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_blocked_loop_is_told_while_it_is_blocked(collector, settings, serving, loop):
    app = FastAPI()
    done = threading.Event()

    @app.get("/block/{item}")
    async def block(item: str) -> str:
        time.sleep(2.5)  # this line
        done.set()
        return item

    @app.get("/bystander")
    async def bystander() -> str:
        return "ok"

    probe = why504.instrument(app, settings=settings)
    try:
        with serving(app, loop) as url:
            headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
            call = threading.Thread(
                target=lambda: httpx.get(f"{url}/block/1", headers=headers, timeout=20)
            )
            call.start()
            stall = collector.wait_for(
                lambda: [
                    s for s in collector.of_kind(names.STALL, final=False) if s.trace_id == TRACE
                ]
            )[0]
            told_during = not done.is_set()
            base = f"http://127.0.0.1:{probe.port}"
            metrics = httpx.get(f"{base}/metrics", timeout=2).text
            debug = httpx.get(f"{base}/debug/requests", timeout=2).json()
            answered_during = not done.is_set()
            call.join()
            final = collector.wait_for(
                lambda: [
                    s
                    for s in collector.of_kind(names.STALL, final=True)
                    if s.span_id == stall.attributes[names.SNAPSHOT_OF]
                ]
            )[0]
    finally:
        probe.shutdown()

    assert (told_during, answered_during) == (True, True)
    assert stall.attributes[names.CODE_FILE] == "tests/integration/probe/test_probe_loop.py"
    assert stall.attributes[names.CODE_LINE] == blocking_line()
    assert stall.trace_id == TRACE == final.trace_id
    assert stall.attributes[names.SERVER_PORT] == int(url.rpartition(":")[2])
    assert stall.attributes[names.SNAPSHOT_OF] == final.span_id
    assert 2.3 < final.seconds < 10
    assert final.attributes[names.STALL_PROGRESSING] is False
    assert final.attributes[names.STALL_CPU_S] < 1.5
    age = next(x for x in metrics.splitlines() if x.startswith(names.METRIC_LOOP_STALL_AGE_S))
    assert float(age.split()[-1]) > 0.2
    request = debug["requests"][0]
    assert request["route"] == "/block/{item}"
    assert request["state"].startswith("blocks the event loop")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_task_that_a_request_made_blocks_in_the_name_of_the_request(
    collector, settings, serving, loop
):
    app = FastAPI()

    async def compute() -> None:
        time.sleep(1.5)

    @app.get("/block")
    async def block() -> str:
        async with asyncio.TaskGroup() as group:
            group.create_task(compute())
        return "done"

    probe = why504.instrument(app, settings=settings)
    try:
        with serving(app, loop) as url:
            headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
            httpx.get(f"{url}/block", headers=headers, timeout=20)
            stalls = collector.wait_for(lambda: collector.of_kind(names.STALL, final=True))
    finally:
        probe.shutdown()

    assert [stall.trace_id for stall in stalls] == [TRACE]
