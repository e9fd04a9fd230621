import random
import time

import pytest

from lab.faults import FAULTS
from lab.matrix.cell import Cell
from lab.matrix.schedule import Schedule, play_all

ALONE = [row.id for row in FAULTS if row.alone]
CELLS = [Cell(row.id, condition, 1) for condition in ("steady", "burst") for row in FAULTS]


class Timed:
    """A job that takes a moment; tells who was there at the same time."""

    def __init__(self, cell: Cell, there: set[Cell], seconds: float) -> None:
        self.cell, self.there = cell, there
        self.over_s = time.monotonic() + seconds
        self.cancelled = False
        there.add(cell)
        self.beside = set(there)

    def alive(self):
        return time.monotonic() < self.over_s and not self.cancelled

    def cancel(self):
        self.cancelled = True

    def close(self):
        assert not self.alive()
        self.there.remove(self.cell)


@pytest.fixture
def stage(monkeypatch):
    monkeypatch.setattr("lab.matrix.schedule.POLL_S", 0.0005)
    there: set[Cell] = set()
    started: list[Timed] = []

    def start(cell, seconds=None):
        if seconds is None:
            seconds = random.Random(str(cell)).uniform(0, 0.01)
        started.append(Timed(cell, there, seconds))
        return started[-1]

    start.there, start.started = there, started
    return start


def test_faults_that_take_a_core_run_alone():
    assert {"A3", "C1", "E1"} <= set(ALONE)


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_every_cell_is_played_once_and_nothing_runs_beside_what_runs_alone(stage, jobs):
    ended = [cell for cell, _, _ in play_all(CELLS, jobs, stage)]

    assert sorted(ended) == sorted(CELLS)
    assert sorted(job.cell for job in stage.started) == sorted(CELLS)
    for job in stage.started:
        assert len(job.beside) <= jobs
        if any(cell.alone for cell in job.beside):
            assert job.beside == {job.cell}
    assert max(len(job.beside) for job in stage.started) == jobs
    assert not stage.there


def test_what_runs_when_the_matrix_is_stopped_is_ended(stage):
    def forever(cell):
        return stage(cell, 0 if cell.fault == "F1" else 3600)

    playing = play_all(CELLS, 3, forever)
    next(playing)
    assert len(stage.there) == 2

    playing.close()

    assert not stage.there


def test_a_cell_that_can_not_be_started_ends_those_that_were(stage):
    def failing(cell):
        if len(stage.started) == 2:
            raise OSError("no more processes")
        return stage(cell, 3600)

    with pytest.raises(OSError, match="no more processes"):
        list(play_all(CELLS, 3, failing))
    assert not stage.there


def test_what_is_left_is_estimated_from_what_was_measured():
    schedule = Schedule(2, [Cell("F1", "steady", n) for n in (1, 2, 3)] + [Cell("E1", "steady", 1)])
    first, _ = schedule.take(), schedule.take()

    schedule.ended(first, 20.0)

    # One half done and one whole, two at a time, then one alone.
    assert schedule.left_s == pytest.approx(20 * 1.5 / 2 + 20)
