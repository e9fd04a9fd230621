"""Runs of the nightly job in memory."""

from __future__ import annotations

from datetime import date

from service.application.ports.nightly_log import NightlyRun


class FakeNightlyLog:
    def __init__(self, nights: dict[date, NightlyRun]) -> None:
        self._nights = nights

    async def begin(self, night: date, *, users_total: int) -> NightlyRun:
        return self._nights.setdefault(night, NightlyRun(night, users_total))

    async def save(self, run: NightlyRun) -> None:
        if run.night in self._nights:
            self._nights[run.night] = run
