from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from service.application.check_health import CheckHealth, Health, HealthReport
from tests.unit.service.fakes.health_check import FakeHealthCheck

EVERY_S = 0.02


def errors(report: HealthReport) -> dict[str, str | None]:
    return {result.name: result.error for result in report.results}


@asynccontextmanager
async def looking(health: CheckHealth) -> AsyncIterator[None]:
    task = asyncio.create_task(health.keep_looking())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(health: CheckHealth, wanted: Health) -> None:
    async with asyncio.timeout(5):
        while (await health()).health is not wanted:
            await asyncio.sleep(0.005)


async def test_each_check_is_told_by_name_and_kind_of_error():
    checks = [FakeHealthCheck("good"), FakeHealthCheck("bad", ConnectionError("10.0.0.7 secret"))]

    report = await CheckHealth(checks, limit_s=1, every_s=60)()

    assert errors(report) == {"good": None, "bad": "ConnectionError"}


@pytest.mark.parametrize(
    ("required", "optional", "health"),
    [
        (None, None, Health.OK),
        (None, OSError(), Health.DEGRADED),
        (OSError(), None, Health.FAILING),
        (OSError(), OSError(), Health.FAILING),
    ],
)
async def test_only_what_is_required_makes_the_service_fail(required, optional, health):
    checks = CheckHealth(
        [FakeHealthCheck("a", required)], [FakeHealthCheck("b", optional)], limit_s=1, every_s=60
    )

    assert (await checks()).health is health


async def test_a_silent_check_is_given_up_even_if_it_can_not_be_cancelled():
    check = FakeHealthCheck(silent=True, stubborn=True)
    health = CheckHealth([check, FakeHealthCheck("good")], limit_s=0.05, every_s=60)
    started_s = time.monotonic()

    report = await health()

    assert time.monotonic() - started_s < 1
    assert errors(report) == {"thing": "timeout", "good": None}
    check.end.set()


async def test_rounds_of_probes_of_a_silent_thing_open_one_check():
    check = FakeHealthCheck(silent=True, stubborn=True)
    health = CheckHealth([check], limit_s=0.02, every_s=EVERY_S)

    async with looking(health):
        for _ in range(10):
            await asyncio.gather(*(health() for _ in range(100)))
            await asyncio.sleep(0.02)

    assert check.runs == 1
    check.end.set()


async def test_probes_never_look_themselves():
    check = FakeHealthCheck()
    health = CheckHealth([check], limit_s=1, every_s=60)

    async with looking(health):
        for _ in range(100):
            await health()

    assert check.runs == 1


async def test_the_first_probe_waits_for_the_first_round_only():
    check = FakeHealthCheck(silent=True)
    health = CheckHealth([check], limit_s=0.1, every_s=60)
    started_s = time.monotonic()

    reports = await asyncio.gather(*(health() for _ in range(100)))

    assert {report.health for report in reports} == {Health.FAILING}
    assert 0.05 < time.monotonic() - started_s < 1
    assert check.runs == 1


async def test_health_goes_and_comes_back_with_the_thing():
    check = FakeHealthCheck()
    health = CheckHealth([check], limit_s=0.02, every_s=EVERY_S)

    async with looking(health):
        await until(health, Health.OK)
        check.silent = True
        await until(health, Health.FAILING)
        check.silent = False
        await until(health, Health.OK)


async def test_what_is_not_looked_at_any_more_is_not_healthy():
    health = CheckHealth([FakeHealthCheck()], limit_s=0.02, every_s=EVERY_S)
    async with looking(health):
        await until(health, Health.OK)

    await asyncio.sleep(0.2)

    report = await health()
    assert (report.health, report.age_s > 0.1) == (Health.STALE, True)


async def test_a_probe_that_goes_away_does_not_end_the_round():
    check = FakeHealthCheck(silent=True)
    health = CheckHealth([check], limit_s=0.1, every_s=60)
    gone = asyncio.create_task(health())
    await asyncio.sleep(0.02)
    gone.cancel()

    report = await health()

    assert errors(report) == {"thing": "timeout"}
    assert check.runs == 1
