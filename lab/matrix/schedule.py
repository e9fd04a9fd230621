"""Plays cells of the matrix beside each other, except for those that need the machine alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from lab.matrix.cell import Cell

POLL_S: Final = 0.05
TYPICAL_S: Final = 27.0
"""What a run takes, until some were measured."""


class Job(Protocol):
    """A cell that is being played."""

    def alive(self) -> bool:
        """Return whether it still plays."""
        ...

    def cancel(self) -> None:
        """Ask it to end; does not wait."""
        ...

    def close(self) -> None:
        """Return once nothing of it is left."""
        ...


@dataclass(slots=True)
class Schedule:
    """Which cell is next. Those that run alone come last, so that nobody waits for them twice."""

    jobs: int
    waiting: list[Cell]
    running: set[Cell] = field(default_factory=set)
    durations_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.waiting = sorted(self.waiting, key=lambda cell: cell.alone)

    def take(self) -> Cell | None:
        """Return the cell to start now, if one may be started."""
        if not self.waiting or len(self.running) >= self.jobs:
            return None
        if self.running and (self.waiting[0].alone or any(cell.alone for cell in self.running)):
            return None
        cell = self.waiting.pop(0)
        self.running.add(cell)
        return cell

    def ended(self, cell: Cell, took_s: float) -> None:
        """Count a cell that has ended."""
        self.running.remove(cell)
        self.durations_s.append(took_s)

    @property
    def left_s(self) -> float:
        """About how long it takes until all are played."""
        typical_s = TYPICAL_S
        if self.durations_s:
            typical_s = sum(self.durations_s) / len(self.durations_s)
        alone = sum(cell.alone for cell in self.waiting)
        # Those that run are half done.
        together = len(self.waiting) - alone + len(self.running) / 2
        return typical_s * (alone + together / self.jobs)


def play_all(
    cells: Sequence[Cell], jobs: int, start: Callable[[Cell], Job]
) -> Iterator[tuple[Cell, float, Schedule]]:
    """Play every cell, at most `jobs` at once; yield each that ended, its seconds, what is left.

    However this ends, every job that was started has ended, too.
    """
    schedule = Schedule(jobs, list(cells))
    playing: dict[Cell, tuple[Job, float]] = {}
    try:
        while schedule.waiting or playing:
            while cell := schedule.take():
                playing[cell] = start(cell), time.monotonic()
            for cell in _over(playing):
                job, began_s = playing.pop(cell)
                job.close()
                took_s = time.monotonic() - began_s
                schedule.ended(cell, took_s)
                yield cell, took_s, schedule
            time.sleep(POLL_S)
    finally:
        # All at once, then one after another: each takes seconds to stop its servers.
        for job, _ in playing.values():
            job.cancel()
        for job, _ in playing.values():
            job.close()


def _over(playing: Mapping[Cell, tuple[Job, float]]) -> list[Cell]:
    return [cell for cell, (job, _) in playing.items() if not job.alive()]
