"""Every fault under every condition, several times: `python -m lab.matrix [--resume]`.

Prints injected against named, with simpler methods and stock OpenTelemetry beside. A run is a file
in bench/results/matrix; a matrix that is whole is also written to docs/matrix.md.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

from rich.console import Console

from lab.conditions import CONDITIONS, condition
from lab.faults import FAULTS, ROOT, fault
from lab.matrix_page import Row, goals, missed, page, tables
from lab.run import run
from why504.errors import Why504Error

RESULTS: Final = ROOT / "bench" / "results"
PAGE: Final = ROOT / "docs" / "matrix.md"
WIDTH: Final = 132
"""Columns of the printed table where no terminal says otherwise."""


class Cell(NamedTuple):
    """One run of the matrix."""

    fault: str
    condition: str
    seed: int

    def __str__(self) -> str:
        return f"{self.fault}-{self.condition}-{self.seed}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if every goal is met, by whatever was run."""
    parser = argparse.ArgumentParser(prog="why504 matrix", description=__doc__)
    parser.add_argument("--faults", nargs="+", default=[row.id for row in FAULTS], metavar="FAULT")
    names = [row.id for row in CONDITIONS]
    parser.add_argument("--conditions", nargs="+", default=names, metavar="CONDITION")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(
        "--sample", type=int, help="only so many runs, of every fault and condition"
    )
    parser.add_argument("--resume", action="store_true", help="keep the runs already recorded")
    given = parser.parse_args(arguments)
    errors = Console(stderr=True)
    try:
        faults = [fault(each).id for each in given.faults]
        conditions = [condition(each).id for each in given.conditions]
        seeds = range(1, given.runs + 1)
        cells = [Cell(f, c, seed) for seed in seeds for c in conditions for f in faults]
        chosen = sampled(cells, given.sample) if given.sample else cells
        found = [
            _outcome(cell, f"{number} of {len(chosen)}", errors, resume=given.resume)
            for number, cell in enumerate(chosen, start=1)
        ]
    except Why504Error as error:
        errors.print(f"why504: {error}", style="red", markup=False)
        return 2
    except KeyboardInterrupt:
        errors.print("stopped; --resume goes on from here")
        return 130
    whole = {(row["fault"], row["under"]) for row in found} == {
        (f.id, c.id) for f in FAULTS for c in CONDITIONS
    }
    _publish(found, whole=whole)
    return 1 if missed(found) else 0


def sampled(cells: Sequence[Cell], count: int) -> list[Cell]:
    """Return some cells, always the same, with every fault and condition if there is room."""
    mixed = sorted(cells, key=lambda cell: random.Random(str(cell)).random())
    chosen: list[Cell] = []
    for key in ("fault", "condition"):
        for cell in mixed:
            if getattr(cell, key) not in {getattr(other, key) for other in chosen}:
                chosen.append(cell)
    chosen = list(dict.fromkeys([*chosen, *mixed]))[:count]
    return sorted(chosen, key=cells.index)


def _outcome(cell: Cell, place: str, errors: Console, *, resume: bool) -> Row:
    """Play a fault in a folder of its own, which stays only if something was wrong."""
    record = RESULTS / "matrix" / f"{cell}.json"
    if resume and record.is_file():
        return Row(json.loads(record.read_text(encoding="utf-8")))
    errors.print(f"{time.strftime('%H:%M:%S')}  {cell}, {place} …", end=" ")
    folder = ROOT / ".run" / f"matrix-{cell}"
    shutil.rmtree(folder, ignore_errors=True)
    outcome = run(cell.fault, folder=folder, seed=cell.seed, under=cell.condition)
    if outcome.correct:
        shutil.rmtree(folder)
    row = Row(outcome.as_json())
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps(row, indent=2), encoding="utf-8")
    said = "; ".join(row["problems"]) or "right"
    errors.print(f"{said} ({row['duration_s']:.0f} s)", highlight=False)
    return row


def _publish(found: Sequence[Row], *, whole: bool) -> None:
    """Print the tables and keep them: as JSON, and as a page if the matrix is whole."""
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    for table in tables(found):
        console.print(table.for_terminal())
    RESULTS.mkdir(parents=True, exist_ok=True)
    document = {"goals": [goal._asdict() for goal in goals(found)], "runs": list(found)}
    (RESULTS / "matrix.json").write_text(json.dumps(document, indent=2), encoding="utf-8")
    # An installed wheel carries the lab without the docs.
    if whole and PAGE.parent.is_dir():
        PAGE.write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    # As in lab/demo.py: a plain end would leave no time to stop the parts one by one.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    sys.exit(main())
