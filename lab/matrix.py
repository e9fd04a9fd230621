"""Every fault, several times: `python -m lab.matrix [--faults F1 B1] [--runs 3] [--resume]`.

Prints injected against named, with stock OpenTelemetry beside. A run is a file in
bench/results/matrix; a full matrix is also written to docs/matrix.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from lab.faults import FAULTS, ROOT, Fault, fault
from lab.run import run
from why504.errors import Why504Error

RESULTS: Final = ROOT / "bench" / "results"
PAGE: Final = ROOT / "docs" / "matrix.md"
HEADINGS: Final = (
    "fault",
    "injected",
    "named",
    "right line",
    "504s",
    "explained",
    "unknown",
    "why504: any span",
    "stock: any span",
    "stock: request span",
    "named after",
)
WIDTH: Final = 132
"""Columns of the printed table where no terminal says otherwise."""

Row = Mapping[str, Any]
"""An outcome as JSON."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if every run named its fault, missed no 504 and blamed nothing in the control."""
    parser = argparse.ArgumentParser(prog="why504 matrix", description=__doc__)
    parser.add_argument("--faults", nargs="+", default=[row.id for row in FAULTS], metavar="FAULT")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--resume", action="store_true", help="keep the runs already recorded")
    given = parser.parse_args(arguments)
    errors = Console(stderr=True)
    try:
        chosen = [fault(fault_id) for fault_id in given.faults]
        found = _run_all(chosen, given.runs, errors, resume=given.resume)
    except Why504Error as error:
        errors.print(f"why504: {error}", style="red", markup=False)
        return 2
    except KeyboardInterrupt:
        errors.print("stopped; --resume goes on from here")
        return 130
    _publish(chosen, found)
    return 0 if all(row["correct"] for row in found) else 1


def _run_all(chosen: Sequence[Fault], runs: int, errors: Console, *, resume: bool) -> list[Row]:
    found: list[Row] = []
    for seed in range(1, runs + 1):
        for row in chosen:
            record = RESULTS / "matrix" / f"{row.id}-{seed}.json"
            if resume and record.is_file():
                found.append(json.loads(record.read_text(encoding="utf-8")))
                continue
            errors.print(f"{time.strftime('%H:%M:%S')}  {row.id}, run {seed} of {runs} …", end=" ")
            outcome = _run_one(row, seed)
            record.parent.mkdir(parents=True, exist_ok=True)
            record.write_text(json.dumps(outcome, indent=2), encoding="utf-8")
            said = "; ".join(outcome["problems"]) or "right"
            errors.print(f"{said} ({outcome['duration_s']:.0f} s)", highlight=False)
            found.append(outcome)
    return found


def _run_one(row: Fault, seed: int) -> Row:
    """Play a fault in a folder of its own, which stays only if something was wrong."""
    folder = ROOT / ".run" / f"matrix-{row.id}-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    outcome = run(row.id, folder=folder, seed=seed)
    if outcome.correct:
        shutil.rmtree(folder)
    return outcome.as_json()


def _publish(chosen: Sequence[Fault], found: Sequence[Row]) -> None:
    """Print the table and keep it: as JSON, and as a page if the matrix is whole."""
    cells = [line(row, [each for each in found if each["fault"] == row.id]) for row in chosen]
    table = Table(*HEADINGS, header_style="bold")
    for row in cells:
        table.add_row(*row)
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    console.print(table)
    console.print(totals(found))
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "matrix.json").write_text(json.dumps(list(found), indent=2), encoding="utf-8")
    # An installed wheel carries the lab without the docs.
    if len(chosen) == len(FAULTS) and PAGE.parent.is_dir():
        PAGE.write_text(page(cells, totals(found)), encoding="utf-8")


def line(row: Fault, runs: Sequence[Row]) -> list[str]:
    """Return the cells of one fault, over all its runs."""
    named = sorted({f"{each['trigger']} · {each['mechanism']}" for each in runs})
    waits_s = [s for each in runs if (s := each["seconds_first_504_to_verdict"]) is not None]
    lines = sum(each["site"] == (each["expected"]["site"] or each["site"]) for each in runs)
    return [
        row.id,
        f"{row.trigger} · {row.mechanism}",
        ", ".join(named),
        f"{lines} of {len(runs)}",
        str(_sum(runs, "gateway_504")),
        str(_sum(runs, "explained")),
        str(_sum(runs, "unknown")),
        str(_sum(runs, "victims_with_app_span")),
        str(_sum(runs, "victims_with_stock_span")),
        str(_sum(runs, "victims_with_stock_server_span")),
        f"{min(waits_s):.1f} to {max(waits_s):.1f} s" if waits_s else "",
    ]


def totals(found: Sequence[Row]) -> str:
    """Return what all runs together show, in one sentence."""
    right = sum(bool(row["correct"]) for row in found)
    return (
        f"{right} of {len(found)} runs right. Of {_sum(found, 'gateway_504')} × 504 at the gateway "
        f"why504 tells about {_sum(found, 'victims')} and explains {_sum(found, 'explained')}; "
        f"stock OpenTelemetry in the same process has any span of "
        f"{_sum(found, 'victims_with_stock_span')}, and the request's own span of "
        f"{_sum(found, 'victims_with_stock_server_span')}."
    )


def page(cells: Sequence[Sequence[str]], sentence: str) -> str:
    """Return docs/matrix.md."""
    rows = [HEADINGS, ["---"] * len(HEADINGS), *cells]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    what = "\n".join(f"- **{row.id}**: {row.description}" for row in FAULTS)
    return (
        "# The fault matrix\n\n"
        "Written by `make matrix`: every fault of `lab/faults.py`, injected into the reference\n"
        "service on real servers, against what the engine named. Numbers are sums over the runs.\n"
        "“Stock” is OpenTelemetry as its manual sets it up, in the same process and run. A hang\n"
        "lets it export the spans of a request's body or of a statement; the request's own span,\n"
        "which says how long and which route, leaves only when the request ends.\n\n"
        f"{table}\n\n{sentence}\n\n{what}\n"
    )


def _sum(rows: Sequence[Row], key: str) -> int:
    return sum(int(row[key]) for row in rows)


if __name__ == "__main__":
    # As in lab/demo.py: a plain end would leave no time to stop the parts one by one.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    sys.exit(main())
