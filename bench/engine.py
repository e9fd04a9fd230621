"""`make bench-engine`: from compacted Parquet to ranked causes with evidence, beside plain joins.

The day is made up (busy_day.py), its cause is known. Each measurement is a process of its own, so
that memory is its own; the joins beside it answer less: who held the pool while victims waited, one
hop, summed by holder. What is judged is the time on the machine that the targets were set for, by
a yardstick of the same run: docs/adr/0012.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from bench import busy_day, joins, yardstick
from lab.prove.verdict import Check, Verdict, publish
from why504.diagnose import explain
from why504.stores.parquet import ParquetStore

SIZES: Final = ((1_000_000, 10_000), (10_000_000, 100_000))
TARGETS_S: Final = (1.5, 5.0)
MOST_BYTES: Final = 1e9
MOST_GROWTH: Final = 5.0
DENSE_TARGET_S: Final = 0.5
MOST_OFF_S: Final = 1e-6
REPEATS: Final = 5
PATIENCE_S: Final = 40.0
"""A baseline that takes longer is not waited for."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 when every figure meets its target."""
    parser = argparse.ArgumentParser(prog="python -m bench.engine", description=__doc__)
    parser.add_argument("--one", nargs=2, metavar=("WHAT", "FOLDER"), help=argparse.SUPPRESS)
    one = parser.parse_args(arguments).one
    if one:
        print(json.dumps(_measured(one[0], Path(one[1]))))
        return 0
    began_s = time.monotonic()
    verdict = Verdict("bench-engine")
    machine = yardstick.machine()
    verdict.facts["speed of this machine, 1 = the targets'"] = round(machine, 2)
    with tempfile.TemporaryDirectory(prefix="why504-bench-") as folder:
        _days(Path(folder), verdict, machine)
        _dense(Path(folder), verdict, machine)
    return publish(verdict, duration_s=time.monotonic() - began_s, rehearsal=False)


def _days(folder: Path, verdict: Verdict, machine: float) -> None:
    lasted: list[float] = []
    for (spans, victims), target_s in zip(SIZES, TARGETS_S, strict=True):
        name = f"{spans // 1_000_000} M spans, {victims:,} victims"
        Console(stderr=True).print(f"{name}: writing the day ...")
        day = folder / str(spans)
        busy_day.write(day, spans, victims)
        found = _best("explain", day)
        others = {join: _run(join, day) for join in joins.JOINS}
        fastest = _fastest(others)
        lasted.append(found["seconds"])
        verdict.checks += [
            *yardstick.seconds(
                f"{name}: to ranked causes", found["seconds"], target_s, machine,
                fastest.get("seconds"),
            ),
            Check(f"{name}: memory", found["bytes"], MOST_BYTES, "B", fastest.get("bytes")),
            Check(f"{name}: incidents named {busy_day.CAUSE}", found["right"], 2, at_least=True),
            Check(f"{name}: victims counted", found["victims"], victims, at_least=True),
        ]  # fmt: skip
        verdict.facts[name] = {"why504 explain": found, **others}
    growth = lasted[-1] / lasted[0]
    verdict.checks.append(Check("growth 1 M -> 10 M, times", growth, MOST_GROWTH))


def _dense(folder: Path, verdict: Verdict, machine: float) -> None:
    joins.write_dense(folder / "dense")
    name = f"dense: 1.2 M holds, 100 k waits, {joins.pairs(folder / 'dense') / 1e6:.0f} M pairs"
    off_s = joins.off_by_s(folder / "dense")
    verdict.checks.append(Check(f"{name}: off from the sum of pairs", off_s, MOST_OFF_S, "s"))
    ranked = _best("rank", folder / "dense")
    others = {join: _run(join, folder / "dense") for join in joins.DENSE}
    verdict.checks += yardstick.seconds(
        f"{name}: holders ranked", ranked["seconds"], DENSE_TARGET_S, machine,
        _fastest(others).get("seconds"),
    )  # fmt: skip
    verdict.facts[name] = {"why504": ranked, **others}


def _fastest(others: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the fastest run; empty when none was done in time."""
    done = [other for other in others.values() if math.isfinite(other["seconds"])]
    return min(done, key=lambda other: other["seconds"], default={})


def _best(what: str, folder: Path) -> dict[str, Any]:
    """Return the fastest of some runs, with the highest memory of them."""
    runs = [_run(what, folder) for _ in range(REPEATS)]
    return {**min(runs, key=lambda run: run["seconds"]), "bytes": max(run["bytes"] for run in runs)}


def _run(what: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.engine", "--one", what, str(folder)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        Console(stderr=True).print(f"  {what}: not done after {PATIENCE_S:.0f} s")
        return {"seconds": math.inf, "bytes": math.nan}
    run: dict[str, Any] = json.loads(done.stdout)
    Console(stderr=True).print(f"  {what}: {run['seconds']:.2f} s, {run['bytes'] / 1e6:.0f} MB")
    return run


def _measured(what: str, folder: Path) -> dict[str, Any]:
    work: Callable[[Path], dict[str, Any]] = _explain if what == "explain" else joins.ALL[what]
    began_s = time.perf_counter()
    facts = work(folder)
    seconds = time.perf_counter() - began_s
    return {"seconds": seconds, "bytes": _most_bytes(), **facts}


def _most_bytes() -> int:
    """Return this program's peak of memory; getrusage would count its parent's before the exec."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    told = next(line for line in lines if line.startswith("VmHWM:"))
    return int(told.split()[1]) * 1024


def _explain(folder: Path) -> dict[str, Any]:
    store = ParquetStore(folder)
    window = store.extent()
    incidents = explain(store.sample(window)) if window else []
    right = [
        i for i in incidents
        if (i.finding.cause, str(i.finding.site)) == (busy_day.CAUSE, busy_day.SITE)
    ]  # fmt: skip
    return {"right": len(right), "victims": sum(i.count for i in incidents)}


if __name__ == "__main__":
    sys.exit(main())
