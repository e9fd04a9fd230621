"""So many requests a client, counted by this process alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import httpx
import pytest
from limits import parse
from prometheus_client import CollectorRegistry
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from service.application.settings import Settings
from service.infrastructure.api.rate_limit import EXEMPT, RateLimit
from service.infrastructure.redis.metrics import RateMetrics
from service.infrastructure.redis.rate_counter import OwnCounts, RateCounter

Client = Callable[..., httpx.AsyncClient]


async def fine(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("fine")(scope, receive, send)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def client_at(registry: CollectorRegistry) -> Client:
    """A client of a service that takes three requests an hour from each address."""
    limit, metrics = parse("3/hour"), RateMetrics(registry)
    app = RateLimit(
        fine, limit=limit, counter=RateCounter(limit, Settings(), metrics), metrics=metrics
    )

    def at(address: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app, client=(address, 1))
        return httpx.AsyncClient(transport=transport, base_url="http://service")

    return at


async def test_one_request_too_many_is_a_429_that_says_when_to_come_back(client_at):
    client = client_at("10.0.0.1")
    passed = [(await client.get("/")).status_code for _ in range(3)]

    refused = await client.get("/")

    assert passed == [200] * 3
    assert (refused.status_code, refused.json()["type"]) == (429, "urn:problem:too-many-requests")
    assert refused.json()["trace_id"]
    assert 3500 < int(refused.headers["retry-after"]) <= 3600
    assert refused.headers["ratelimit-policy"] == '"client";q=3;w=3600'
    assert refused.headers["ratelimit"].startswith('"client";r=0;t=3')


async def test_a_client_is_told_what_it_has_left(client_at):
    client = client_at("10.0.0.1")

    told = [(await client.get("/")).headers["ratelimit"] for _ in range(2)]

    assert told == ['"client";r=2;t=3600', '"client";r=1;t=3600']


async def test_one_client_does_not_use_up_what_another_may(client_at):
    for _ in range(5):
        await client_at("10.0.0.1").get("/")

    assert (await client_at("10.0.0.2").get("/")).status_code == 200


@pytest.mark.parametrize("path", sorted(EXEMPT))
async def test_a_prober_is_never_refused(client_at, path):
    answers = [await client_at("10.0.0.1").get(path) for _ in range(5)]

    assert {answer.status_code for answer in answers} == {200}


async def test_metrics_tell_how_many_were_counted_and_refused(client_at, registry):
    for _ in range(5):
        await client_at("10.0.0.1").get("/")

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"service_rate_limit_{name}_total", labels)

    assert value("requests", store="process") == 5
    assert value("requests", store="redis") == 0
    assert value("refused") == 2
    assert value("redis_failures") == 0


async def test_a_window_that_ended_is_forgotten():
    counts = OwnCounts(0.05)
    before = [counts.hit("u").used for _ in range(2)]

    await asyncio.sleep(0.06)

    assert (before, counts.hit("u").used) == ([1, 2], 1)


def test_countless_clients_cost_a_request_nothing():
    counts = OwnCounts(60)
    for number in range(100_000):
        counts.hit(str(number))
    began_s = time.perf_counter()

    for _ in range(1000):
        counts.hit("u")

    assert time.perf_counter() - began_s < 0.1
