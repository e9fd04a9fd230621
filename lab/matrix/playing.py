"""Cells as processes that end with the matrix, however it ends."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Final

from lab.deployment import PYTHON
from lab.faults import ROOT
from lab.matrix.cell import Cell, record_of
from lab.matrix.template import make_template
from lab.stack.process import Process, Program, start

GRACE_S: Final = 30.0
"""For the servers of a run to be stopped one by one."""


class CellJob:
    """A cell that is being played; see `lab.matrix.schedule.Job`."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def alive(self) -> bool:
        """Return whether it still plays."""
        return self._process.alive

    def cancel(self) -> None:
        """Ask it to end; does not wait."""
        self._process.send(signal.SIGTERM)

    def close(self) -> None:
        """Return once nothing of it is left."""
        self._process.stop(GRACE_S)


class Playing:
    """Starts cells, all on copies of one database.

    Raises:
        LabError: PostgreSQL did not start.
    """

    def __init__(self, results: Path) -> None:
        self._results = results
        self._folder = ROOT / ".run" / "matrix"
        self._template = make_template(self._folder / "template")

    def start(self, cell: Cell) -> CellJob:
        """Start a process that plays a cell and records its outcome below `results`."""
        # What an earlier matrix has recorded must not be taken for the outcome of this run.
        record_of(cell, self._results).unlink(missing_ok=True)
        self.log_of(cell).unlink(missing_ok=True)
        argv = [sys.executable, "-m", "lab.matrix.cell", cell.fault, cell.condition, str(cell.seed)]
        argv += ["--results", str(self._results), "--template", str(self._template)]
        return CellJob(start(Program(argv, str(cell), self._folder, PYTHON)))

    def log_of(self, cell: Cell) -> Path:
        """Return the file with what went wrong while a cell was played."""
        return self._folder / f"{cell}.log"
