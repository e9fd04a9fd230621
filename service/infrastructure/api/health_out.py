"""The deep health as it travels."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel

from service.application.check_health import Health, HealthReport


class CheckOut(BaseModel):
    """What one check found; `error` is a kind of error."""

    ok: bool
    required: bool
    error: str | None
    duration_ms: float


class HealthOut(BaseModel):
    """What the last look found, and how old that is."""

    status: Health
    age_s: float
    checks: dict[str, CheckOut]

    @classmethod
    def of(cls, report: HealthReport) -> Self:
        """Return what a prober is told."""
        checks = {
            result.name: CheckOut(
                ok=result.error is None,
                required=result.required,
                error=result.error,
                duration_ms=round(result.duration_s * 1000, 1),
            )
            for result in report.results
        }
        return cls(status=report.health, age_s=round(report.age_s, 3), checks=checks)

    @property
    def unable(self) -> bool:
        """Whether the service should be given no requests."""
        return self.status in (Health.FAILING, Health.STALE)
