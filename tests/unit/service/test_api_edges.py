"""What the HTTP side does around the routes: limits, problems and the request log."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import threading
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider
from pydantic import BaseModel
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from service.application.errors import ServiceError, StoreBusy, StoreUnavailable
from service.infrastructure.api.body_limit import BodyLimit
from service.infrastructure.api.deadline import Deadline
from service.infrastructure.api.mistakes import Mistakes
from service.infrastructure.api.problems import KINDS, handle_problems
from service.infrastructure.api.request_log import LOGGER, LONGEST_QUEUE, RequestLog, written_to
from service.infrastructure.api.trace_id import TraceId


class Body(BaseModel):
    text: str


def an_app() -> FastAPI:
    cors = {"allow_origins": ("https://app.example.org",), "expose_headers": ("X-Trace-Id",)}
    app = FastAPI(
        middleware=[
            Middleware(TraceId),
            Middleware(RequestLog),
            Middleware(CORSMiddleware, **cors),
            Middleware(Deadline, limit_s=0.2),
            Middleware(Mistakes),
            Middleware(BodyLimit, limit_bytes=1000),
        ],
    )
    handle_problems(app)

    @app.post("/things/{name}")
    async def thing(name: str, body: Body) -> dict[str, str]:
        if name == "busy":
            raise StoreBusy("no database connection became free in time")
        if name == "bug":
            raise RuntimeError("password=hunter2")
        if name == "slow":
            await asyncio.sleep(5)
        return {"name": name}

    return app


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(an_app(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        yield client


def leaves(error: type[ServiceError]) -> list[type[ServiceError]]:
    below = error.__subclasses__()
    return [leaf for each in below for leaf in leaves(each)] if below else [error]


def test_every_error_that_is_raised_on_purpose_is_a_kind_of_problem():
    assert set(leaves(ServiceError)) == set(KINDS)


def test_only_what_may_succeed_later_says_when_to_come_back():
    retried = {error for error, kind in KINDS.items() if kind.retry_after_s is not None}

    assert retried == {StoreBusy, StoreUnavailable}


async def test_a_busy_store_is_a_503_that_says_when_to_come_back(client):
    answer = await client.post("/things/busy", json={"text": "x"})

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:problem:store-busy",
        "title": "The database is too busy",
        "status": 503,
        "detail": "no database connection became free in time",
        "trace_id": answer.headers["x-trace-id"],
    }


async def test_a_mistake_of_ours_tells_nothing_of_its_inside(client):
    answer = await client.post("/things/bug", json={"text": "x"})

    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert answer.json()["type"] == "urn:problem:unexpected"


async def test_what_was_sent_never_comes_back_in_an_error(client):
    answer = await client.post("/things/x", json={"text": ["a secret"]})

    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"where": ["body", "text"], "why": "Input should be a valid string"}
    ]


async def test_a_problem_carries_the_id_of_the_trace_it_happened_in(client):
    with TracerProvider().get_tracer("test").start_as_current_span("request") as span:
        answer = await client.post("/nowhere")

    assert answer.json()["trace_id"] == f"{span.get_span_context().trace_id:032x}"


@pytest.mark.parametrize("header", ["", "nonsense", "00-xyz-1-01", "00-" + "é" * 32 + "-b-01"])
async def test_a_request_without_a_trace_is_given_an_id_of_its_own(client, header):
    headers = {"traceparent": header.encode("latin-1")}
    answer = await client.post("/nowhere", headers=headers)
    other = await client.post("/nowhere", headers=headers)

    assert answer.status_code == 404
    assert re.fullmatch("[0-9a-f]{32}", answer.json()["trace_id"])
    assert answer.json()["trace_id"] == answer.headers["x-trace-id"] != other.headers["x-trace-id"]


PAGE = {"origin": "https://app.example.org"}


@pytest.mark.parametrize(
    ("name", "status"), [("x", 200), ("busy", 503), ("bug", 500), ("slow", 503)]
)
async def test_a_web_page_may_read_every_answer_and_its_trace_id(client, name, status):
    answer = await client.post(f"/things/{name}", json={"text": "x"}, headers=PAGE)

    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == PAGE["origin"]
    assert answer.headers["access-control-expose-headers"] == "X-Trace-Id"
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-trace-id"])


async def test_a_page_of_somebody_else_may_read_nothing(client):
    answer = await client.post("/things/x", json={}, headers={"origin": "https://evil.example"})

    assert "access-control-allow-origin" not in answer.headers


async def in_pieces(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * 100


async def test_a_large_body_is_refused_by_the_length_it_declares(client):
    answer = await client.post("/things/x", content=b"x" * 1001)

    assert (answer.status_code, answer.json()["status"]) == (413, 413)


async def test_a_large_body_that_declares_no_length_is_refused_too(client):
    answer = await client.post("/things/x", content=in_pieces(11))

    assert answer.status_code == 413


async def test_a_body_of_exactly_the_limit_is_read(client):
    body = json.dumps({"text": ""})
    fitting = json.dumps({"text": "x" * (1000 - len(body))})

    answer = await client.post(
        "/things/x", content=fitting, headers={"content-type": "application/json"}
    )

    assert answer.status_code == 200


async def test_a_request_is_one_line_without_ids_and_bodies(client):
    stream = io.StringIO()
    with written_to(stream):
        await client.post("/things/anna", json={"text": "a secret"})
        await client.post("/things/bug", json={"text": "a secret"})

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [{**line, "duration_ms": 0, "trace_id": ""} for line in lines] == [
        {
            "trace_id": "",
            "method": "POST",
            "route": "/things/{name}",
            "status": status,
            "duration_ms": 0,
        }
        for status in (200, 500)
    ]


async def test_refused_and_cancelled_requests_are_logged_with_their_trace_id(client):
    stream = io.StringIO()
    with written_to(stream):
        large = await client.post("/things/x", content=b"x" * 1001)
        late = await client.post("/things/slow", json={"text": "x"})
        gone = asyncio.create_task(client.post("/things/slow", json={"text": "x"}))
        await asyncio.sleep(0.05)
        gone.cancel()
        await asyncio.wait({gone})

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["status"] for line in lines] == [413, 503, None]
    told = [large.headers["x-trace-id"], late.headers["x-trace-id"]]
    assert [line["trace_id"] for line in lines][:2] == told
    assert lines[2]["trace_id"]


class Stuck(io.StringIO):
    """A pipe that nobody empties."""

    def __init__(self) -> None:
        super().__init__()
        self.free = threading.Event()

    def write(self, text: str) -> int:
        self.free.wait(30)
        return super().write(text)


async def test_a_full_pipe_stops_no_request_and_floods_nothing(client, capfd):
    stream = Stuck()
    with written_to(stream):
        for _ in range(LONGEST_QUEUE + 100):
            logging.getLogger(LOGGER).info("line")
        answer = await client.post("/things/anna", json={"text": "x"})
        leaving_s = time.monotonic()

    assert time.monotonic() - leaving_s < 5
    stream.free.set()
    assert answer.status_code == 200
    assert capfd.readouterr().err == ""
