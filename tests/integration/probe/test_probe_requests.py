"""Requests in flight under a real uvicorn: told while they last, sampled or not."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request

import why504
from why504 import names
from why504.config import ProbeSettings

HERE = "tests/integration/probe/test_probe_requests.py"
SAMPLED = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
UNSAMPLED = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def line_of(mark: str) -> int:
    lines = Path(__file__).read_text().splitlines()
    return next(n for n, line in enumerate(lines, 1) if line.endswith(f"# {mark}"))


def in_thread() -> None:
    time.sleep(0.9)  # in thread


def make_app(*, with_middleware: bool) -> FastAPI:
    app = FastAPI()
    router = APIRouter(prefix="/v1")

    @router.get("/slow/{item}")
    async def slow(item: str) -> str:
        await asyncio.sleep(0.9)  # awaiting
        return item

    @router.get("/sync")
    def sync() -> str:
        time.sleep(0.9)  # sync endpoint
        return "ok"

    @router.get("/threaded")
    async def threaded() -> str:
        await asyncio.to_thread(in_thread)
        return "ok"

    @router.get("/quick")
    async def quick() -> str:
        return "ok"

    @router.get("/fails")
    async def fails() -> str:
        raise RuntimeError("meant")

    app.include_router(router)
    if with_middleware:

        @app.middleware("http")
        async def outer(request: Request, call_next: Any) -> Any:
            return await call_next(request)

    return app


@pytest.fixture(params=[False, True], ids=["plain", "with BaseHTTPMiddleware"])
def app(request) -> FastAPI:
    return make_app(with_middleware=request.param)


@pytest.fixture
def probe(app, settings):
    probe = why504.instrument(app, settings=settings)
    yield probe
    probe.shutdown()


@pytest.mark.parametrize("headers", [SAMPLED, UNSAMPLED], ids=["sampled", "unsampled"])
@pytest.mark.parametrize(
    ("path", "route", "line"),
    [
        ("/v1/slow/7", "/v1/slow/{item}", "awaiting"),
        ("/v1/sync", "/v1/sync", "sync endpoint"),
        ("/v1/threaded", "/v1/threaded", "in thread"),
    ],
)
def test_a_slow_request_is_told_while_open_with_its_line(
    app, probe, collector, serving, headers, path, route, line
):
    with serving(app) as url:
        answer = httpx.get(url + path, headers=headers)
        collector.wait_for(lambda: collector.of_kind(names.SNAPSHOT))
    probe.flush()

    assert answer.status_code == 200
    told = collector.of_kind(names.SNAPSHOT)
    first = told[0]
    assert first.name == f"snapshot GET {route}"
    assert (first.trace_id, first.kind) == (TRACE, 1)
    assert first.attributes[names.SNAPSHOT_KIND] == "server"
    assert first.attributes[names.HTTP_ROUTE] == route
    assert first.attributes[names.HTTP_METHOD] == "GET"
    assert (first.attributes[names.CODE_FILE], first.attributes[names.CODE_LINE]) == (
        HERE,
        line_of(line),
    )
    assert first.attributes[names.CODE_STACKTRACE].startswith('File "')
    assert [t.attributes[names.SNAPSHOT_SEQUENCE] for t in told] == [*range(1, len(told) + 1)]
    assert first.attributes[names.SNAPSHOT_PARENT] == "00f067aa0ba902b7"
    (server,) = collector.servers()  # what was told gets its end, sampled or not
    assert first.attributes[names.SNAPSHOT_OF] == server.span_id == first.parent_id
    assert (server.parent_id, server.name) == ("00f067aa0ba902b7", f"GET {route}")
    assert server.attributes[names.HTTP_STATUS] == 200
    assert 0.8 < server.seconds < 10


def test_a_request_makes_exactly_one_server_span_with_todays_names(app, probe, collector, serving):
    with serving(app) as url:
        httpx.get(f"{url}/v1/quick?q=1")
    probe.flush()

    # A busy machine may have records to tell besides.
    (server,) = [s for s in collector.spans if names.KIND not in s.attributes]
    assert server.name == "GET /v1/quick"
    assert server.attributes[names.HTTP_METHOD] == "GET"
    assert server.attributes[names.HTTP_STATUS] == 200
    assert server.attributes[names.HTTP_ROUTE] == "/v1/quick"
    assert server.attributes[names.URL_PATH] == "/v1/quick"
    assert server.resource[names.SERVICE_INSTANCE]
    assert server.resource[names.PROCESS_PID]
    assert len(probe.registry.spans) == 0


def test_requests_that_end_leave_nothing_behind(app, probe, serving):
    with serving(app) as url, httpx.Client() as client:
        for _ in range(20):
            client.get(f"{url}/v1/quick")
            client.get(f"{url}/v1/nowhere")
            httpx.get(f"{url}/v1/fails")  # uvicorn hangs up after an error

    assert probe.registry.spans == {}
    assert probe.registry._places == {}


def test_debug_requests_says_what_each_request_does(app, probe, serving):
    with serving(app) as url, ThreadPoolExecutor() as pool:
        calls = [pool.submit(httpx.get, url + p) for p in ("/v1/slow/1", "/v1/sync")]
        debug = {"requests": []}
        while len(debug["requests"]) < 2 or None in [r["site"] for r in debug["requests"]]:
            debug = httpx.get(f"http://127.0.0.1:{probe.port}/debug/requests").json()
        metrics = httpx.get(f"http://127.0.0.1:{probe.port}/metrics").text
        [call.result() for call in calls]

    shown = {r["route"]: r["site"] for r in debug["requests"]}
    assert shown == {
        "/v1/slow/{item}": f"{HERE}:{line_of('awaiting')}",
        "/v1/sync": f"{HERE}:{line_of('sync endpoint')}",
    }
    assert debug["pid"] > 0
    assert 'http_server_active_requests{method="GET",route="/v1/sync"} 1.0' in metrics


def test_instrumenting_twice_gives_the_same_probe_and_no_second_span(
    app, probe, settings, collector, serving
):
    assert why504.instrument(app, settings=settings) is probe

    with serving(app) as url:
        httpx.get(f"{url}/v1/quick")
    probe.flush()

    assert len(collector.spans) == 1


def test_after_shutdown_the_application_serves_unwatched(app, settings, collector, serving):
    before = threading.active_count()
    probe = why504.instrument(app, settings=settings)
    port = probe.port
    probe.shutdown()

    with serving(app) as url:
        assert httpx.get(f"{url}/v1/quick").json() == "ok"
    assert [s.name for s in collector.spans if names.KIND in s.attributes] == []
    assert probe.registry.spans == {}
    assert threading.active_count() == before
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/metrics")


def test_a_collector_that_takes_and_never_answers_changes_nothing(serving):
    app = make_app(with_middleware=False)
    with socket.create_server(("127.0.0.1", 0)) as black_hole:
        settings = ProbeSettings(
            endpoint=f"http://127.0.0.1:{black_hole.getsockname()[1]}", metrics_port=0
        )
        probe = why504.instrument(app, settings=settings)
        try:
            with serving(app) as url, httpx.Client() as client:
                slowest = 0.0
                for _ in range(100):
                    began = time.monotonic()
                    assert client.get(f"{url}/v1/quick").status_code == 200
                    slowest = max(slowest, time.monotonic() - began)
                time.sleep(0.7)
                assert client.get(f"{url}/v1/quick").status_code == 200
        finally:
            began = time.monotonic()
            probe.shutdown()
            stopping_s = time.monotonic() - began

    assert slowest < 0.5
    assert stopping_s < 8


def test_a_busy_metrics_port_is_avoided(settings):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        probe = why504.instrument(
            FastAPI(), settings=ProbeSettings(endpoint=settings.endpoint, metrics_port=port)
        )
        try:
            assert probe.port not in (-1, port)
            assert httpx.get(f"http://127.0.0.1:{probe.port}/metrics").status_code == 200
        finally:
            probe.shutdown()
