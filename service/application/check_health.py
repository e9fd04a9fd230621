"""Deep health that can't hang: a task of its own looks, and requests are told what it saw last."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from service.application.ports.health_check import HealthCheck

STALE_AFTER: Final = 2
"""Rounds that may be late before what was seen last counts for nothing."""


class Health(StrEnum):
    """How the service is, worst last; only the last two mean that it can't work."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILING = "failing"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check found; `error` is a kind of error, never a message with an address in it."""

    name: str
    required: bool
    error: str | None
    duration_s: float


@dataclass(frozen=True, slots=True)
class HealthReport:
    """What one round found, and how long ago it ended."""

    results: tuple[CheckResult, ...]
    age_s: float
    stale: bool

    @property
    def health(self) -> Health:
        """The worst that the results say, unless they are too old to say anything."""
        if self.stale:
            return Health.STALE
        failed = [result for result in self.results if result.error is not None]
        if any(result.required for result in failed):
            return Health.FAILING
        return Health.DEGRADED if failed else Health.OK


class CheckHealth:
    """`GET /v1/health`.

    Args:
        required: what the service can't work without.
        optional: what it only works better with.
        limit_s: how long a check may take; None = without limit.
        every_s: pause between two rounds of checks.
    """

    def __init__(
        self,
        required: Sequence[HealthCheck],
        optional: Sequence[HealthCheck] = (),
        *,
        limit_s: float | None,
        every_s: float,
    ) -> None:
        self._checks = [(each, True) for each in required] + [(each, False) for each in optional]
        self._limit_s = limit_s
        self._every_s = every_s
        self._stale_s = STALE_AFTER * every_s + (limit_s or 0)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._round: asyncio.Task[None] | None = None
        self._results: tuple[CheckResult, ...] | None = None
        self._ended_s = 0.0

    async def keep_looking(self) -> None:
        """Look every `every_s` seconds until cancelled."""
        while True:
            await self._look()
            await asyncio.sleep(self._every_s)

    async def __call__(self) -> HealthReport:
        """Return what was seen last, at once; before anything was seen, after the first round."""
        if self._results is None:
            await self._look()
        age_s = time.monotonic() - self._ended_s
        return HealthReport(self._results or (), age_s, stale=age_s > self._stale_s)

    async def _look(self) -> None:
        # One round at a time; whoever gives up waiting for it does not end it.
        if self._round is None or self._round.done():
            self._round = asyncio.create_task(self._look_once())
        await asyncio.shield(self._round)

    async def _look_once(self) -> None:
        found = await asyncio.gather(*(self._result_of(*each) for each in self._checks))
        self._results, self._ended_s = tuple(found), time.monotonic()

    async def _result_of(self, check: HealthCheck, required: bool) -> CheckResult:
        started_s = time.monotonic()
        task = self._running.get(check.name)
        # A check that hangs is waited for by the next round too: a frozen server must not collect
        # one more connection from each.
        if task is None or task.done():
            task = self._running[check.name] = asyncio.ensure_future(check.check())
            task.add_done_callback(_looked_at)
        # Unlike wait_for, this does not wait for a cancelled check to end, which may hang too.
        done, _ = await asyncio.wait({task}, timeout=self._limit_s)
        if not done:
            task.cancel()
            error: str | None = "timeout"
        elif task.cancelled():
            error = "cancelled"
        else:
            error = type(failure).__name__ if (failure := task.exception()) else None
        return CheckResult(check.name, required, error, time.monotonic() - started_s)


def _looked_at(task: asyncio.Task[None]) -> None:
    # One that ends after everybody gave it up would be reported as forgotten.
    if not task.cancelled():
        task.exception()
