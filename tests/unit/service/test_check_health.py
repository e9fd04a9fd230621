from __future__ import annotations

import asyncio
import time

from service.application.check_health import CheckHealth
from tests.unit.service.fakes.health_check import FakeHealthCheck


def errors(results) -> dict[str, str | None]:
    return {result.name: result.error for result in results}


async def test_each_check_is_told_by_name_and_kind_of_error():
    checks = [FakeHealthCheck("good"), FakeHealthCheck("bad", ConnectionError("10.0.0.7 secret"))]

    results = await CheckHealth(checks, limit_s=1, cache_s=0)()

    assert errors(results) == {"good": None, "bad": "ConnectionError"}


async def test_a_silent_check_is_given_up_even_if_it_can_not_be_cancelled():
    check = FakeHealthCheck(silent=True, stubborn=True)
    health = CheckHealth([check, FakeHealthCheck("good")], limit_s=0.05, cache_s=0)
    started_s = time.monotonic()

    results = await health()

    assert time.monotonic() - started_s < 1
    assert errors(results) == {"thing": "timeout", "good": None}
    check.end.set()


async def test_a_hundred_probes_of_a_silent_thing_open_one_check():
    check = FakeHealthCheck(silent=True, stubborn=True)
    health = CheckHealth([check], limit_s=0.05, cache_s=0)

    await asyncio.gather(*(health() for _ in range(50)))
    await asyncio.gather(*(health() for _ in range(50)))

    assert check.runs == 1
    check.end.set()


async def test_health_comes_back_when_the_thing_does():
    check = FakeHealthCheck(silent=True)
    health = CheckHealth([check], limit_s=0.05, cache_s=0)
    assert errors(await health()) == {"thing": "timeout"}

    check.silent = False

    assert errors(await health()) == {"thing": None}


async def test_a_young_answer_is_given_again():
    check = FakeHealthCheck()
    health = CheckHealth([check], limit_s=1, cache_s=60)

    assert errors(await health()) == errors(await health()) == {"thing": None}
    assert check.runs == 1
