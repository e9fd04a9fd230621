"""Instances share a rate limit through a real Redis, and miss it only a little when it is gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import pytest
import redis.exceptions
from limits import parse
from prometheus_client import CollectorRegistry

from service.application.settings import Settings
from service.infrastructure.redis.health_check import RedisCheck
from service.infrastructure.redis.metrics import RateMetrics
from service.infrastructure.redis.rate_counter import RateCounter

if TYPE_CHECKING:
    from lab.stack.valkey import Valkey

BOUND_S = 0.1
"""What a request may wait for a count: a share of the two seconds that Redis has."""

MakeCounter = Callable[..., RateCounter]


@pytest.fixture
async def make_counter() -> AsyncIterator[MakeCounter]:
    made: list[RateCounter] = []

    def make(url: str, *, registry: CollectorRegistry | None = None, **settings) -> RateCounter:
        metrics = RateMetrics(registry or CollectorRegistry())
        made.append(RateCounter(parse("1000/minute"), Settings(redis_url=url, **settings), metrics))
        return made[-1]

    yield make
    for each in made:
        await each.aclose()


async def took_s(counter: RateCounter, client: str) -> float:
    began_s = time.monotonic()
    await counter.hit(client)
    return time.monotonic() - began_s


async def test_two_instances_count_one_client_together(make_counter, valkey: Valkey):
    one, other = make_counter(valkey.url), make_counter(valkey.url)

    counts = [(await each.hit("shared")).used for each in (one, other, one, other)]

    assert counts == [1, 2, 3, 4]


async def test_a_hundred_requests_at_once_are_all_counted(make_counter, valkey: Valkey):
    counter = make_counter(valkey.url, timeouts={"redis_s": 20})

    counts = await asyncio.gather(*(counter.hit("crowd") for _ in range(100)))

    assert sorted(count.used for count in counts) == list(range(1, 101))


async def test_a_frozen_redis_delays_a_few_requests_a_little(make_counter, valkey: Valkey):
    registry = CollectorRegistry()
    counter = make_counter(valkey.url, registry=registry)
    await counter.hit("before")
    valkey.freeze()
    try:
        first = await asyncio.gather(*(took_s(counter, f"c{n}") for n in range(20)))
        rest = [await took_s(counter, f"c{n}") for n in range(200)]
    finally:
        valkey.thaw()

    assert max(first) < BOUND_S + 0.3
    assert sum(rest) < 1
    assert registry.get_sample_value("service_rate_limit_redis_failures_total") == 20
    alone = registry.get_sample_value("service_rate_limit_requests_total", {"store": "process"})
    assert alone == 220


async def test_one_request_at_a_time_finds_out_whether_redis_is_back(make_counter, valkey: Valkey):
    counter = make_counter(valkey.url, time_scale=0.05, timeouts={"redis_s": 40})
    await counter.hit("back")
    valkey.freeze()
    try:
        await counter.hit("back")
        await asyncio.sleep(0.6)
        took = await asyncio.gather(*(took_s(counter, f"c{n}") for n in range(50)))
    finally:
        valkey.thaw()
    await asyncio.sleep(0.6)
    again = [(await counter.hit("back")).used for _ in range(2)]

    assert sum(each > BOUND_S / 2 for each in took) == 1
    assert again[1] == again[0] + 1 >= 3, "counted in redis again"


async def test_a_redis_that_nobody_runs_costs_nothing(make_counter, free_port):
    counter = make_counter(f"redis://127.0.0.1:{free_port}/0")

    assert [(await counter.hit("u")).used for _ in range(3)] == [1, 2, 3]


async def test_the_health_check_of_redis_tells_well_from_gone(valkey: Valkey, free_port):
    await RedisCheck(valkey.url, limit_s=2).check()

    with pytest.raises(redis.exceptions.ConnectionError):
        await RedisCheck(f"redis://127.0.0.1:{free_port}/0", limit_s=0.3).check()
    valkey.freeze()
    try:
        with pytest.raises(redis.exceptions.TimeoutError):
            await RedisCheck(valkey.url, limit_s=0.2).check()
    finally:
        valkey.thaw()
