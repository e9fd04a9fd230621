"""Whether the configuration of every part of the stack is taken by the program that reads it.

`python -m bench.stack_check`: the tests of tests/docs that are about it, part by part, in under a
minute and without Docker. The configuration of a program that can't be run here is checked against
the keys that it documents.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from lab.faults import ROOT
from lab.prove.verdict import Check, Verdict, publish
from why504.errors import LabError

LONGEST_S: Final = 60.0
GIVEN_UP_S: Final = 300.0
PARTS: Final[Mapping[str, str]] = {
    "test_compose": "docker-compose.yml",
    "test_compose_wiring": "docker-compose.yml, its wiring",
    "test_collector": "collector",
    "test_tempo": "Tempo",
    "test_prometheus": "Prometheus",
    "test_rules": "alerts",
    "test_dashboards": "Grafana and its queries",
    "test_schema": "schema of telemetry",
    "test_kubernetes": "Kubernetes",
}
"""Module in tests/docs -> what it is about."""


@dataclass(slots=True)
class Part:
    """What became of the tests of one part."""

    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: int = 0
    took_s: float = 0.0


def main() -> int:
    """Return the exit code: 0, or 1 where something is wrong or was not looked at."""
    begun_s = time.perf_counter()
    parts = _tested()
    took_s = time.perf_counter() - begun_s
    verdict = Verdict("stack-check")
    for module, what in PARTS.items():
        part = parts.get(module, Part())
        # All of them, and at least one: what nobody looked at is not right.
        wanted = max(1, part.passed + len(part.failed))
        verdict.checks.append(Check(what, part.passed, wanted, "right", at_least=True))
    verdict.checks.append(Check("all of it", took_s, LONGEST_S, "s"))
    verdict.facts = {
        "seconds of each": {PARTS[name]: round(part.took_s, 1) for name, part in parts.items()},
        "not looked at, for a program or a recording is missing": sum(
            part.skipped for part in parts.values()
        ),
        "wrong": [test for part in parts.values() for test in part.failed],
    }
    return publish(verdict, duration_s=took_s, rehearsal=False)


def _tested() -> Mapping[str, Part]:
    """Run the tests and return what became of them, by module.

    Raises:
        LabError: they did not end in time.
    """
    files = [f"tests/docs/{module}.py" for module in PARTS]
    there = [file for file in files if (ROOT / file).is_file()]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-n", "auto", f"--junit-xml={report}"]
        try:
            subprocess.run([*command, *there], cwd=ROOT, check=False, timeout=GIVEN_UP_S)
        except subprocess.TimeoutExpired as error:
            raise LabError(f"the tests still ran after {GIVEN_UP_S:g} s") from error
        return _read(report)


def _read(report: Path) -> Mapping[str, Part]:
    parts: dict[str, Part] = {}
    # Written by the run above, on this machine.
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314
        module = case.attrib["classname"].rpartition("tests.docs.")[2].partition(".")[0]
        part = parts.setdefault(module, Part())
        part.took_s += float(case.attrib["time"])
        if case.find("failure") is not None or case.find("error") is not None:
            part.failed.append(f"{module}: {case.attrib['name']}")
        elif case.find("skipped") is not None:
            part.skipped += 1
        else:
            part.passed += 1
    return parts


if __name__ == "__main__":
    sys.exit(main())
