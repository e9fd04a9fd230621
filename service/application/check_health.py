"""Deep health that can't hang: every check is bounded, shared and remembered for a moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from service.application.ports.health_check import HealthCheck


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check found; `error` is a kind of error, never a message with an address in it."""

    name: str
    error: str | None
    duration_s: float


class CheckHealth:
    """`GET /v1/health`."""

    def __init__(
        self, checks: Sequence[HealthCheck], *, limit_s: float | None, cache_s: float
    ) -> None:
        self._checks = checks
        self._limit_s = limit_s
        self._cache_s = cache_s
        self._running: dict[str, asyncio.Task[None]] = {}
        self._results: list[CheckResult] = []
        self._fresh_until_s = -1.0

    async def __call__(self) -> list[CheckResult]:
        """Return one result a check, in order, after `limit_s` at most."""
        if time.monotonic() < self._fresh_until_s:
            return self._results
        results = list(await asyncio.gather(*(self._result_of(each) for each in self._checks)))
        self._results, self._fresh_until_s = results, time.monotonic() + self._cache_s
        return results

    async def _result_of(self, check: HealthCheck) -> CheckResult:
        started_s = time.monotonic()
        task = self._running.get(check.name)
        # A check that hangs is waited for by everybody: a frozen server must not collect one
        # more connection from every probe.
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
        return CheckResult(check.name, error, time.monotonic() - started_s)


def _looked_at(task: asyncio.Task[None]) -> None:
    # One that ends after everybody gave it up would be reported as forgotten.
    if not task.cancelled():
        task.exception()
