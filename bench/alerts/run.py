"""What a section of the benchmark gets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab.prove.verdict import Check, Journal, Verdict


@dataclass(frozen=True, slots=True)
class Run:
    """One section's folder, and where it tells what it found."""

    folder: Path
    say: Journal
    verdict: Verdict

    def at_most(
        self, name: str, measured: float, target: float | None, unit: str = "",
        baseline: float | None = None,
    ) -> None:  # fmt: skip
        """Add a figure that must not be more than its target."""
        self.verdict.checks.append(Check(name, measured, target, unit, baseline))

    def at_least(self, name: str, measured: float, target: float) -> None:
        """Add a figure that must not be less than its target."""
        self.verdict.checks.append(Check(name, measured, target, at_least=True))


def quantile(values: list[float], share: float) -> float:
    """Return the smallest value that so large a share of all values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
