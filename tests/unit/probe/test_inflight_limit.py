"""More is open than is kept: requests go on, it is counted, and memory stays what it was."""

from __future__ import annotations

import asyncio
import tracemalloc

import httpx
from fastapi import FastAPI

import why504
from why504 import names
from why504.config import ProbeSettings
from why504.probe.exposed.state import MOST_REQUESTS
from why504.probe.inflight import OpenSpan, Place, Registry
from why504.probe.telling import openrecord
from why504.probe.telling.openrecord import RecordBook
from why504.testing import CollectedRecords, FakeClock, SequentialIds

LIMIT = ProbeSettings().inflight_limit


def settings(**told) -> ProbeSettings:
    return ProbeSettings(endpoint="http://127.0.0.1:9", metrics_port=0, **told)


async def ask(app: FastAPI, count: int, meanwhile) -> list[int]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        asked = [asyncio.create_task(client.get("/wait", timeout=60)) for _ in range(count)]
        told = await meanwhile()
        answers = await asyncio.gather(*asked)
    assert {answer.status_code for answer in answers} == {200}
    return told


def waiting_app() -> tuple[FastAPI, asyncio.Event, list[int]]:
    app, go, there = FastAPI(), asyncio.Event(), []

    @app.get("/wait")
    async def wait() -> dict:
        there.append(1)
        await go.wait()
        return {}

    return app, go, there


async def test_requests_beyond_the_limit_are_served_and_counted_on_metrics():
    app, go, there = waiting_app()
    probe = why504.instrument(app, settings=settings(inflight_limit=10))

    async def meanwhile() -> str:
        while len(there) < 40:
            await asyncio.sleep(0.01)
        assert len(probe.registry.spans) == 10
        url = f"http://127.0.0.1:{probe.port}/metrics"
        text = await asyncio.to_thread(lambda: httpx.get(url, timeout=30).text)
        go.set()
        return text

    try:
        told = await ask(app, 40, meanwhile)
    finally:
        probe.shutdown()
    (dropped,) = (
        float(line.split()[-1])
        for line in told.splitlines()
        if line.startswith(f"{names.METRIC_INFLIGHT_DROPPED} ")
    )
    assert dropped >= 30
    assert probe.registry.spans == {}


def test_memory_stays_what_it_was_however_much_more_is_open():
    clock = FakeClock()
    registry = Registry(clock, LIMIT)
    here = Place(None, 1)

    def opens(count: int) -> None:
        for number in range(count):
            entry = OpenSpan(1, len(registry.spans) + registry.dropped + number + 1)
            registry.keep(entry, here)

    tracemalloc.start()
    try:
        opens(LIMIT + 1_000)
        at_the_limit = tracemalloc.get_traced_memory()[0]
        opens(LIMIT)
        beyond = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert len(registry.spans) == LIMIT
    assert registry.dropped > LIMIT
    assert beyond < at_the_limit * 1.02


def test_spans_that_nobody_ends_make_room_for_those_of_requests():
    registry = Registry(FakeClock(), 100)
    request, chat = OpenSpan(1, 1), OpenSpan(4, 4)
    request.scope = {"type": "http", "method": "GET", "path": "/"}
    chat.scope = {"type": "websocket", "path": "/chat"}
    leaked = [OpenSpan(n, n) for n in (3, *range(5, 101))]
    for entry in (request, OpenSpan(1, 2), chat, *leaked):
        registry.open(entry)
    registry.make_room()
    registry.open(OpenSpan(500, 500))

    assert {1, 2, 4, 500} <= registry.spans.keys()
    assert {3, 13}.isdisjoint(registry.spans)
    assert (len(registry.spans), registry.dropped) == (90, 11)


def test_room_for_requests_is_not_made_of_requests():
    registry = Registry(FakeClock(), 10)
    for number in range(1, 12):
        entry = OpenSpan(number, number)
        entry.scope = {"type": "http", "method": "GET", "path": "/"}
        registry.open(entry)
    registry.make_room()

    assert (len(registry.spans), registry.dropped) == (10, 1)


def test_records_beyond_the_limit_are_counted_and_told_at_their_end(monkeypatch):
    monkeypatch.setattr(openrecord, "OPEN_LIMIT", 5)
    kept = CollectedRecords()
    book = RecordBook(FakeClock(), SequentialIds(), kept)
    records = [book.mint(names.WAIT, "lock:a", Place(None, 0)) for _ in range(8)]
    for record in records:
        book.open(record)
    assert (len(book.open_records), book.dropped) == (5, 3)
    for record in records:
        book.close(record, "acquired", publish=True)

    assert len(kept.sent) == 8
    assert book.open_records == {}


def test_the_page_of_requests_stays_readable_at_the_limit():
    app = FastAPI()
    probe = why504.instrument(app, settings=settings())
    try:
        port = probe.port
        for number in range(LIMIT):
            entry = OpenSpan(number + 1, number + 1)
            entry.scope = {"type": "http", "method": "GET", "path": "/"}
            probe.registry.keep(entry, Place(None, 0))
        told = httpx.get(f"http://127.0.0.1:{port}/debug/requests", timeout=100).json()
    finally:
        probe.registry.spans.clear()
        probe.shutdown()

    assert len(told["requests"]) == MOST_REQUESTS
    assert told["requests_not_listed"] == LIMIT - MOST_REQUESTS
