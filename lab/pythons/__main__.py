"""The probe and the engine on every Python: `python -m lab.pythons [--fetch] [PYTHON ...]`.

Without names it takes what is on PATH and what `--fetch` brought. Each gets an environment of its
own with the versions of requirements.lock, or as many of them as have a wheel for it.
Exit code 0 = all passed, 1 = a test failed, 2 = a Python could not be had.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from lab.faults import ROOT
from lab.prove.verdict import Check, Verdict, publish
from lab.pythons.debian import fetch
from why504.errors import LabError, Why504Error

FOLDER: Final = ROOT / ".run" / "pythons"
UNIT: Final = ("tests/unit/probe", "tests/unit/diagnose")
HANGS: Final = ("tests/integration/strangers", "-k", "deadlock or requests or asyncio")
"""A smoke test on real servers: what differs most between versions is looking at frames."""
TESTS: Final = {"unit": ("-n", "2", *UNIT), "hangs": HANGS}
_NO_WHEEL: Final = re.compile(r"Because (?:only )?([a-z0-9_.-]+)[=<>!]", re.IGNORECASE)
_MOST_MISSING: Final = 12
_COUNTED: Final = re.compile(r"(\d+) (passed|failed|error|skipped)")


@dataclass(frozen=True, slots=True)
class Tried:
    """One Python."""

    version: str
    missing: Sequence[str]
    """Packages of the lock without a wheel for it."""
    passed: int
    failed: int
    seconds: float
    tail: str
    """End of what its tests said; empty where all passed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Try every Python, and tell what became of it."""
    parser = argparse.ArgumentParser(prog="python -m lab.pythons", description=__doc__)
    parser.add_argument("--fetch", action="store_true", help="bring newer ones of Debian first")
    parser.add_argument("python", nargs="*", help="interpreters; all that are found when omitted")
    given = parser.parse_args(arguments)
    console = Console()
    began_s = time.monotonic()
    try:
        if given.fetch:
            fetch(FOLDER)
        pythons = given.python or list(_found())
        tried = [_tried(python, console) for python in pythons]
    except Why504Error as error:
        Console(stderr=True).print(f"why504: {error}", style="red", markup=False)
        return 2
    console.print(_table(tried))
    if not any(each.version > "3.11" for each in tried):
        console.print("Only this Python was found. Newer ones: make test-pythons ARGS=--fetch")
    verdict = Verdict("test-pythons")
    for each in tried:
        verdict.checks.append(Check(f"tests that failed, {each.version}", each.failed, 0))
        verdict.checks.append(
            Check(f"tests that passed, {each.version}", each.passed, 1, "", None, True)
        )
    verdict.facts["without a wheel"] = {each.version: list(each.missing) for each in tried}
    return publish(verdict, duration_s=time.monotonic() - began_s, rehearsal=False)


def _found() -> Iterator[str]:
    """Yield one interpreter a version: on PATH, or fetched."""
    for minor in range(11, 30):
        name = f"python3.{minor}"
        there = (shutil.which(name), *map(str, sorted(FOLDER.glob(f"*/usr/bin/{name}"))))
        path = next((one for one in there if one and _runs(one)), None)
        if path is not None:
            yield path


def _runs(python: str) -> bool:
    # pyenv leaves a shim on PATH for every version, whether it is switched on or not.
    return not subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode


def _tried(python: str, console: Console) -> Tried:
    told = _output([python, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"]).strip()
    version = told.rpartition(".")[0]
    console.print(f"{told}: {python}", highlight=False)
    home = FOLDER / f"venv-{version}"
    shutil.rmtree(home, ignore_errors=True)
    _output([python, "-m", "venv", "--without-pip", str(home)])
    missing = _installed(home / "bin" / "python")
    counts, tail, began_s = {"passed": 0, "failed": 0}, "", time.monotonic()
    for name, tests in TESTS.items():
        argv = [
            str(home / "bin" / "python"),
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            *tests,
        ]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
        (FOLDER / f"{version}-{name}.log").write_text(done.stdout + done.stderr, encoding="utf-8")
        for number, what in _COUNTED.findall(done.stdout.strip().rpartition("\n")[2]):
            kind = "failed" if what == "error" else what
            counts[kind] = counts.get(kind, 0) + int(number)
        if done.returncode:
            counts["failed"] = max(counts["failed"], 1)
            tail += done.stdout[-2000:]
            console.print(tail, markup=False, highlight=False)
    seconds = time.monotonic() - began_s
    return Tried(told, missing, counts["passed"], counts["failed"], seconds, tail)


def _installed(python: Path) -> list[str]:
    """Install the lock, without what has no wheel for this Python; return that."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    uv = str(Path(sys.executable).parent / "uv")
    install = [uv, "pip", "install", "-q", "--python", str(python), "--no-deps"]
    chosen = FOLDER / f"{python.parents[1].name}.lock"
    missing: list[str] = []
    for _ in range(_MOST_MISSING):
        kept = [line for line in lock if line.partition("==")[0] not in missing]
        chosen.write_text("\n".join(kept), encoding="utf-8")
        argv = [*install, "--only-binary", ":all:", "-r", str(chosen)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            _output([*install, "-e", str(ROOT)])
            return missing
        named = _NO_WHEEL.search(done.stderr)
        if named is None or named[1] in missing:
            raise LabError(f"the lock can't be installed: {done.stderr.strip()[-400:]}")
        missing.append(named[1])
    raise LabError(f"too many packages have no wheel: {', '.join(missing)}")


def _output(argv: Sequence[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"{argv[0]} failed: {done.stderr.strip()[-400:]}")
    return done.stdout


def _table(tried: Sequence[Tried]) -> Table:
    table = Table("Python", "passed", "failed", "took", "no wheel for", header_style="bold")
    for each in tried:
        failed = "bold red" if each.failed else None
        row = (each.version, str(each.passed), str(each.failed), f"{each.seconds:.0f} s")
        table.add_row(*row, ", ".join(each.missing), style=failed)
    return table


if __name__ == "__main__":
    sys.exit(main())
