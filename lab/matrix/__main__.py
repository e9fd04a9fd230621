"""Every fault under every condition, several times: `python -m lab.matrix [--resume] [--again]`.

Prints injected against named, with simpler methods and stock OpenTelemetry beside. A run is a file
in bench/results/matrix, and a folder with its evidence; a matrix that is whole is also written to
docs/matrix.md.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from rich.console import Console

from lab.faults import FAULTS, ROOT, fault
from lab.matrix.cell import Cell, record, record_of
from lab.matrix.conditions import CONDITIONS, condition
from lab.matrix.page import Row, goals, missed, page, tables
from lab.matrix.playing import Playing
from lab.matrix.schedule import Schedule, play_all
from why504.errors import Why504Error

RESULTS: Final = ROOT / "bench" / "results"
PAGE: Final = ROOT / "docs" / "matrix.md"
ROWS: Final = ROOT / "docs" / "matrix.json"
WIDTH: Final = 132
"""Columns of the printed table where no terminal says otherwise."""
MISSED: Final = 1
FAILED: Final = 2
INTERRUPTED: Final = 130

Found = dict[Cell, Row]


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if every goal is met, by whatever was run; 2 if some cells could not be run."""
    given = _parser().parse_args(arguments)
    errors = Console(stderr=True)
    name = "test-matrix" if given.sample else "matrix"
    try:
        cells = _chosen(given)
        found = _found(cells, given, RESULTS / name, errors)
    except Why504Error as error:
        errors.print(f"why504: {error}", style="red", markup=False)
        return FAILED
    except KeyboardInterrupt:
        errors.print("stopped; --resume goes on from here")
        return INTERRUPTED
    rows = [found[cell] for cell in cells if cell in found]
    _publish(rows, RESULTS / f"{name}.json", everything=given.page)
    if len(rows) < len(cells):
        errors.print(f"{len(cells) - len(rows)} of {len(cells)} runs are missing", style="red")
        return FAILED
    return MISSED if missed(rows) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="why504 matrix", description=__doc__)
    parser.add_argument("--faults", nargs="+", default=[row.id for row in FAULTS], metavar="FAULT")
    names = [row.id for row in CONDITIONS]
    parser.add_argument("--conditions", nargs="+", default=names, metavar="CONDITION")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(
        "--sample", type=int, help="only so many runs, of every fault and condition"
    )
    parser.add_argument("--jobs", type=int, default=2, help="so many runs at once")
    parser.add_argument("--resume", action="store_true", help="keep the runs already recorded")
    parser.add_argument(
        "--again", action="store_true", help="score the kept runs again; with --resume play others"
    )
    parser.add_argument(
        "--page", action="store_true", help="write docs/matrix.md though runs are missing"
    )
    return parser


def _chosen(given: argparse.Namespace) -> list[Cell]:
    faults = [fault(each).id for each in given.faults]
    conditions = [condition(each).id for each in given.conditions]
    seeds = range(1, given.runs + 1)
    cells = [
        Cell(f, c, seed)
        for seed in seeds
        for c in conditions
        for f in faults
        if f not in condition(c).left_out
    ]
    return sampled(cells, given.sample) if given.sample else cells


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


def _found(
    cells: Sequence[Cell], given: argparse.Namespace, results: Path, errors: Console
) -> Found:
    """Return what was scored again, what is recorded, and what had to be played, as is asked."""
    found: Found = {}
    if given.again or given.resume:
        published = _published()
        found.update((cell, published[cell]) for cell in cells if cell in published)
    if given.again:
        # Those of which no evidence is kept stay as they were scored.
        found.update(_scored_again(cells, results, given.jobs, errors))
    elif given.resume:
        for cell in cells:
            if (path := record_of(cell, results)).is_file():
                found[cell] = Row(json.loads(path.read_text(encoding="utf-8")))
    if given.resume or not given.again:
        missing = [cell for cell in cells if cell not in found]
        found.update(_played(missing, given.jobs, results, errors))
    return found


def _published() -> Found:
    """Return the runs of docs/matrix.json: a matrix outlives the machine that played it."""
    if not ROWS.is_file():
        return {}
    rows = json.loads(ROWS.read_text(encoding="utf-8"))
    return {Cell(row["fault"], row["under"], row["seed"]): Row(row) for row in rows}


def _scored_again(
    cells: Sequence[Cell], results: Path, jobs: int, errors: Console
) -> Iterator[tuple[Cell, Row]]:
    """Score whatever is kept with the engine as it is now; nothing is played."""
    from lab.matrix.kept import is_kept
    from lab.matrix.rescore import heed_no_ctrl_c, row_of

    kept = [cell for cell in cells if is_kept(results / str(cell))]
    # ctrl-C is for the one that collects. Spawned, because threads don't survive a fork.
    with ProcessPoolExecutor(jobs, get_context("spawn"), initializer=heed_no_ctrl_c) as pool:
        rows = pool.map(row_of, (results / str(cell) for cell in kept))
        for number, (cell, row) in enumerate(zip(kept, rows, strict=True), start=1):
            record(cell, results, row)
            _tell(errors, f"{cell}  {_verdict(row)}  {number} of {len(kept)} scored again")
            yield cell, row


def _played(
    cells: Sequence[Cell], jobs: int, results: Path, errors: Console
) -> Iterator[tuple[Cell, Row]]:
    """Play cells; one that can't be played is told and left out."""
    if not cells:
        return
    playing = Playing(results)
    for number, (cell, took_s, schedule) in enumerate(
        play_all(cells, jobs, playing.start), start=1
    ):
        path = record_of(cell, results)
        row = Row(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None
        said = _verdict(row) if row else f"could not be played, see {playing.log_of(cell)}"
        _tell(errors, f"{cell}  {said}  {took_s:.0f} s  {_place(number, len(cells), schedule)}")
        if row:
            playing.log_of(cell).unlink(missing_ok=True)
            yield cell, row


def _verdict(row: Row) -> str:
    return "; ".join(row["problems"]) or "right"


def _place(number: int, count: int, schedule: Schedule) -> str:
    return f"{number} of {count}, {schedule.left_s / 60:.0f} min left"


def _tell(errors: Console, text: str) -> None:
    line = f"{time.strftime('%H:%M:%S')}  {text}"
    errors.print(line, markup=False, highlight=False, soft_wrap=True)


def _publish(found: Sequence[Row], path: Path, *, everything: bool) -> None:
    """Print the tables and keep them: as JSON, and as a page if the matrix is whole.

    With `everything` also as a page if it is not.
    """
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    for table in tables(found):
        console.print(table.for_terminal())
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"goals": [goal._asdict() for goal in goals(found)], "runs": list(found)}
    path.write_text(json.dumps(document, indent=2), encoding="utf-8")
    whole = {(row["fault"], row["under"]) for row in found} == {
        (f.id, c.id) for f in FAULTS for c in CONDITIONS if f.id not in c.left_out
    }
    # An installed wheel carries the lab without the docs.
    if (whole or everything) and PAGE.parent.is_dir():
        PAGE.write_text(page(found, len(_chosen(_parser().parse_args([])))), encoding="utf-8")
        # A line a run, so that a change shows which.
        rows = ",\n".join(json.dumps({**row, "incidents": []}) for row in found)
        ROWS.write_text(f"[\n{rows}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    # As in lab/demo.py: a plain end would leave no time to stop the parts one by one.
    for _number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(_number, signal.default_int_handler)
    sys.exit(main())
