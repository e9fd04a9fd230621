"""Stock OpenTelemetry's instrumentations beside ours, in either order: one span a call, all waits.

They are in the venv of `make test-sqlalchemy`: others' packages in ours would change other tests.
"""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import asyncpg
import httpx
import psycopg_pool
import pytest
import redis
import requests

from why504 import names

pytestmark = pytest.mark.postgres
STOCK = {
    "asyncpg": "AsyncPGInstrumentor",
    "httpx": "HTTPXClientInstrumentor",
    "psycopg": "PsycopgInstrumentor",
    "redis": "RedisInstrumentor",
    "requests": "RequestsInstrumentor",
}


def instrumentors() -> list:
    found = []
    for library, kind in STOCK.items():
        module = pytest.importorskip(f"opentelemetry.instrumentation.{library}")
        found.append(getattr(importlib.import_module(module.__name__), kind)())
    return found


@pytest.fixture(params=["stock first", "probe first"])
def beside(request) -> Iterator[object]:
    stock = instrumentors()
    if request.param == "stock first":
        for one in stock:
            one.instrument(skip_dep_check=True)
    told = request.getfixturevalue("told")
    if request.param == "probe first":
        for one in stock:
            one.instrument(skip_dep_check=True)
    yield told
    # Each gives back what it found: so the latter goes first.
    if request.param == "stock first":
        told.probe.shutdown()
    for one in stock:
        one.uninstrument()


@pytest.fixture
def url() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,)).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


def test_calls_are_told_by_stock_alone_and_waits_all_the_same(beside, postgres, valkey, url):
    database = postgres.new_database()

    async def fetch() -> None:
        async with asyncpg.create_pool(database, min_size=1, max_size=1) as pool:
            await asyncio.gather(pool.fetch("select 1"), pool.fetch("select 2"))

    beside.memory.clear()
    with beside.request():
        asyncio.run(fetch())
        with redis.Redis(port=valkey.port) as client:
            client.set("a", 1)
        requests.get(url, timeout=5)
        httpx.get(url)
        with (
            psycopg_pool.ConnectionPool(database, min_size=1, max_size=1) as pool,
            pool.connection() as connection,
        ):
            connection.execute("select 3")

    ours = [s.name for s in beside.spans() if s.instrumentation_scope.name == "why504"]
    theirs = [s for s in beside.spans() if "instrumentation" in s.instrumentation_scope.name]
    assert {name.split()[0] for name in ours} == {"connect"}
    assert len([span for span in theirs if span.name == "GET"]) == 2
    assert len([span for span in theirs if span.name == "SET"]) == 1
    assert [wait.attributes[names.RESOURCE] for wait in beside.finals(names.WAIT)] == [
        "db.pool:main"
    ]
    assert len(beside.finals(names.HOLD, "db.pool:")) == 3
