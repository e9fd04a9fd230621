"""What the HTTP side does around the routes: limits, problems and the request log."""

from __future__ import annotations

import io
import json
import logging
import threading
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider
from pydantic import BaseModel
from starlette.middleware import Middleware

from service.application.errors import ServiceError, StoreBusy, StoreUnavailable
from service.infrastructure.api.body_limit import BodyLimit
from service.infrastructure.api.problems import KINDS, handle_problems
from service.infrastructure.api.request_log import LOGGER, LONGEST_QUEUE, RequestLog, written_to


class Body(BaseModel):
    text: str


def an_app() -> FastAPI:
    app = FastAPI(
        middleware=[Middleware(RequestLog), Middleware(BodyLimit, limit_bytes=1000)],
    )
    handle_problems(app)

    @app.post("/things/{name}")
    async def thing(name: str, body: Body) -> dict[str, str]:
        if name == "busy":
            raise StoreBusy("no database connection became free in time")
        if name == "bug":
            raise RuntimeError("password=hunter2")
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
async def test_a_broken_traceparent_is_no_trace(client, header):
    answer = await client.post("/nowhere", headers={"traceparent": header.encode("latin-1")})

    assert answer.status_code == 404
    assert "trace_id" not in answer.json()


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
    assert [{**line, "duration_ms": 0} for line in lines] == [
        {
            "trace_id": None,
            "method": "POST",
            "route": "/things/{name}",
            "status": status,
            "duration_ms": 0,
        }
        for status in (200, 500)
    ]


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
