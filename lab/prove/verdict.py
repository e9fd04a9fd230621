"""What a proof has to show, against what it showed: a table, an exit code, a file of results."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from lab.faults import ROOT

RESULTS: Final = ROOT / "bench" / "results"
WIDTH: Final = 132
"""Columns of the printed table where no terminal says otherwise."""


@dataclass(frozen=True, slots=True)
class Check:
    """One figure; it passes at most at `target`, or at least with `at_least`; None = told only."""

    name: str
    measured: float
    target: float | None
    unit: str = ""
    baseline: float | None = None
    """The same figure where nothing was wrong, of the same run."""
    at_least: bool = False

    @property
    def passed(self) -> bool:
        """Whether the figure is on its side of the target; one that is no number never is."""
        if self.target is None:
            return True
        if self.at_least:
            return self.measured >= self.target
        return self.measured <= self.target


@dataclass(slots=True)
class Verdict:
    """The checks of one proof, and whatever else its run showed."""

    proof: str
    checks: list[Check] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    """Told beside the checks: how many kills, how long it took."""

    @property
    def passed(self) -> bool:
        """Whether there are checks, and all of them passed."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    def table(self) -> Table:
        """Return the checks for people."""
        table = Table("", "check", "measured", "target", "healthy", header_style="bold")
        for check in self.checks:
            mark = "" if check.target is None else "pass" if check.passed else "MISS"
            table.add_row(
                mark,
                check.name,
                _shown(check.measured, check.unit),
                _target(check),
                "" if check.baseline is None else _shown(check.baseline, check.unit),
                style=None if check.passed else "bold red",
            )
        return table

    def as_json(self, *, duration_s: float) -> Mapping[str, Any]:
        """Return everything, with where and when it was measured."""
        return {
            "proof": self.proof,
            "passed": self.passed,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "revision": _revision(),
            "machine": _machine(),
            "duration_s": round(duration_s, 1),
            "checks": [_plain(check) for check in self.checks],
            "facts": self.facts,
        }


class Journal:
    """Sentences about how a run goes on, each with the seconds since it began."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._began_s = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Since the journal was opened."""
        return time.monotonic() - self._began_s

    def __call__(self, sentence: str) -> None:
        """Print one."""
        self._console.print(f"{self.elapsed_s:7.1f} s  {sentence}", highlight=False, markup=False)


def publish(verdict: Verdict, *, duration_s: float, rehearsal: bool) -> int:
    """Print the verdict and keep it; return 0 if everything passed, else 1.

    A rehearsal is too short to mean anything: it is told to be one, and leaves no file.
    """
    console = Console() if os.isatty(1) else Console(width=WIDTH)
    console.print(verdict.table())
    for name, value in verdict.facts.items():
        console.print(f"{name}: {json.dumps(value)}", highlight=False, markup=False)
    if rehearsal:
        console.print("A rehearsal: the phases are too short to prove anything; nothing is kept.")
    else:
        path = _keep(verdict, duration_s, RESULTS)
        console.print(f"kept in {path}", highlight=False, markup=False)
    done, missed = ("rehearsed", "rehearsed, with misses") if rehearsal else _SAID
    console.print(f"{verdict.proof}: {done if verdict.passed else missed}")
    return 0 if verdict.passed else 1


_SAID: Final = ("proven", "NOT PROVEN")


def _keep(verdict: Verdict, duration_s: float, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{verdict.proof}.json"
    document = verdict.as_json(duration_s=duration_s)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return path


def _plain(check: Check) -> Mapping[str, Any]:
    plain: dict[str, Any] = {
        "name": check.name,
        "measured": _number(check.measured),
        "target": _number(check.target),
        "rule": "at least" if check.at_least else "at most",
        "unit": check.unit,
        "baseline": _number(check.baseline),
        "passed": check.passed,
    }
    if check.unit == "ms" and check.baseline:
        plain["ratio"] = round(check.measured / check.baseline, 3)
    return plain


def _number(value: float | None) -> float | None:
    """Return what JSON can hold."""
    return None if value is None or math.isnan(value) else value


def _shown(value: float, unit: str) -> str:
    if math.isnan(value):
        return "not measured"
    digits = 0 if value == round(value) or abs(value) >= 100 else 2
    return f"{value:,.{digits}f} {unit}".strip()


def _target(check: Check) -> str:
    if check.target is None:
        return ""
    return f"{'>=' if check.at_least else '<='} {_shown(check.target, check.unit)}"


def _revision() -> str:
    """Return the commit, with `+` if files differ from it, or nothing outside a checkout."""
    describe = ["git", "describe", "--always", "--abbrev=12", "--dirty=+"]
    told = subprocess.run(describe, cwd=ROOT, capture_output=True, text=True, check=False)
    return told.stdout.strip()


def _machine() -> Mapping[str, Any]:
    return {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load_1m": round(os.getloadavg()[0], 2),
    }
