"""One run of the matrix, in a process of its own: `python -m lab.matrix.cell FAULT CONDITION SEED`.

A process, so that runs beside each other share nothing: no interpreter lock, no descriptors, no
signals. Prints only what went wrong.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from lab.faults import ROOT, fault
from lab.matrix.page import Row
from why504.errors import Why504Error

FAILED = 2
INTERRUPTED = 130


class Cell(NamedTuple):
    """A fault, a condition, and the seed of the load."""

    fault: str
    condition: str
    seed: int

    def __str__(self) -> str:
        return f"{self.fault}-{self.condition}-{self.seed}"

    @property
    def alone(self) -> bool:
        """Whether nothing may run beside it."""
        return fault(self.fault).alone


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 once the run is kept and recorded, right or wrong."""
    parser = argparse.ArgumentParser(prog="lab.matrix.cell", description=__doc__)
    parser.add_argument("fault")
    parser.add_argument("condition")
    parser.add_argument("seed", type=int)
    parser.add_argument("--results", type=Path, required=True, help="where it is kept")
    parser.add_argument("--template", type=Path, help="see lab/matrix/template.py")
    given = parser.parse_args(arguments)
    try:
        cell = Cell(given.fault, given.condition, given.seed)
        play_cell(cell, given.results, given.template)
    except Why504Error as error:
        print(f"why504: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def play_cell(cell: Cell, results: Path, template: Path | None) -> Row:
    """Play a cell in a folder of its own, which stays only if something was wrong.

    Raises:
        LabError: a part did not start.
    """
    # Only a process that plays needs what plays: the one that counts them starts at once.
    from lab.matrix.rescore import row_of
    from lab.run import play

    folder = ROOT / ".run" / f"matrix-{cell}"
    shutil.rmtree(folder, ignore_errors=True)
    made = play(cell.fault, folder=folder, seed=cell.seed, under=cell.condition, template=template)
    kept = results / str(cell)
    shutil.rmtree(kept, ignore_errors=True)
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(made, kept)
    row = row_of(kept)
    record(cell, results, row)
    if row["correct"]:
        shutil.rmtree(folder)
    return row


def record_of(cell: Cell, results: Path) -> Path:
    """Return the file in which the outcome of a cell is recorded."""
    return results / f"{cell}.json"


def record(cell: Cell, results: Path, row: Row) -> None:
    """Write the outcome of a cell, whole or not at all."""
    path = record_of(cell, results)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(row, indent=2), encoding="utf-8")
    partial.rename(path)


def _end(_number: int, _frame: FrameType | None) -> None:
    """End as ctrl-C does, once: a second signal would leave servers that are being stopped."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    for _number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(_number, _end)
    sys.exit(main())
