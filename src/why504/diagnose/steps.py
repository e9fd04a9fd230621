"""Arithmetic of intervals: how a crowd's lost time divides among holders, what is on the path.

Prefix integrals instead of wait x hold pairs: O(n log n) whatever the overlap.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import itemgetter
from typing import Final, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
Times = NDArray[np.int64]
Floats = NDArray[np.float64]
_NOBODY: Final = np.zeros(1, np.int64)


class Piece(NamedTuple):
    """Seconds of lost time spread evenly over `[start_ns, end_ns)`."""

    start_ns: int
    end_ns: int
    seconds: float

    def part(self, start_ns: int, end_ns: int) -> float:
        """Return the seconds that fall into `[start_ns, end_ns)`, which must lie inside."""
        return self.seconds * (end_ns - start_ns) / (self.end_ns - self.start_ns)


@dataclass(frozen=True, slots=True)
class Presence:
    """How many held a resource when: `count[i]` from `times_ns[i]` on, nobody before the first.

    Times may repeat; of equal ones the last counts.
    """

    times_ns: Times
    count: Times

    @classmethod
    def of(cls, start_ns: Times, end_ns: Times) -> Presence:
        """Count holds, given in any order; empty ones and such as end before they start are none.

        Two arrays of equal length, int64.
        """
        if not (real := start_ns < end_ns).all():
            start_ns, end_ns = start_ns[real], end_ns[real]
        times_ns = np.concatenate((start_ns, end_ns))
        # A store tells holds by start: both halves are nearly in order, which a stable sort uses.
        order = np.argsort(times_ns, kind="stable")
        # Begins and ends so far: those from the first half, and the rest.
        count = np.cumsum(order < len(start_ns), dtype=np.int64)
        count *= 2
        count -= np.arange(1, len(order) + 1)
        return cls(times_ns[order], count)

    @classmethod
    def joined(cls, parts: Sequence[Presence]) -> Presence:
        """Return the counts of stretches of time one after another; where two know, the later."""
        times_ns, counts = list[Times](), list[Times]()
        for part, after in zip(parts, [*parts[1:], None], strict=True):
            end = len(part.times_ns)
            if after is not None and len(after.times_ns):
                end = int(np.searchsorted(part.times_ns, after.times_ns[0]))
            times_ns.append(part.times_ns[:end])
            counts.append(part.count[:end])
        return cls(np.concatenate(times_ns), np.concatenate(counts))

    def at(self, times_ns: Times) -> Times:
        """Return how many held it at each of some moments."""
        place = np.searchsorted(self.times_ns, times_ns, "right")
        return np.concatenate((_NOBODY, self.count))[place]


@dataclass(frozen=True, slots=True)
class Shared:
    """What each holder of a resource owes at any moment: the integral of waiting / holders."""

    times_ns: Times
    owed_s: Floats
    """Seconds that one holder, present from the start, owes at `times_ns[i]`; never falls."""
    unheld: list[Piece]
    """Waiting during which nobody held the resource."""
    held_s: float
    """The rest of it: waiting while somebody did."""

    def owed_at(self, time_ns: int) -> float:
        """Return the integral up to `time_ns`, linear between breakpoints."""
        index = int(self.times_ns.searchsorted(time_ns, "right")) - 1
        if index < 0:
            return 0.0
        if index + 1 >= len(self.times_ns):
            return float(self.owed_s[-1])
        start_ns, end_ns = int(self.times_ns[index]), int(self.times_ns[index + 1])
        begun_s, done_s = float(self.owed_s[index]), float(self.owed_s[index + 1])
        return begun_s + (done_s - begun_s) * ((time_ns - start_ns) / (end_ns - start_ns))


def share_out(waits: Sequence[Piece], holders: Presence) -> Shared:
    """Divide waiting among the holders present, each moment for itself.

    Args:
        waits: lost time, any order, may overlap.
        holders: how many held it when.

    Returns:
        The integral, such that the sum over holds of `owed_at(end) - owed_at(start)` plus the
        seconds of `unheld` equals the seconds of `waits`.
    """
    if not waits:
        return Shared(_NOBODY[:0], np.empty(0), [], 0.0)
    start_ns = np.array([piece.start_ns for piece in waits])
    end_ns = np.array([piece.end_ns for piece in waits])
    density = np.array([piece.seconds for piece in waits]) / (end_ns - start_ns)
    first, last = np.searchsorted(holders.times_ns, (start_ns.min(), end_ns.max()))
    times_ns = np.concatenate((np.sort(start_ns), np.sort(end_ns), holders.times_ns[first:last]))
    times_ns.sort(kind="stable")
    waiting = _crowd(start_ns, end_ns, density, times_ns)
    present = holders.at(times_ns[:-1])
    lost_s = waiting * np.diff(times_ns)
    each_s = np.divide(lost_s, present, out=np.zeros(len(lost_s)), where=present > 0)
    unheld = [
        Piece(int(times_ns[i]), int(times_ns[i + 1]), float(lost_s[i]))
        for i in np.flatnonzero((present == 0) & (lost_s > 0))
    ]
    held_s = float(lost_s[present > 0].sum())
    return Shared(times_ns, np.concatenate(([0.0], np.cumsum(each_s))), unheld, held_s)


def _crowd(start_ns: Times, end_ns: Times, density: Floats, times_ns: Times) -> Floats:
    """Return the waiting a nanosecond in each stretch between `times_ns`."""
    change, number = np.zeros(len(times_ns)), np.zeros(len(times_ns), np.int64)
    for edge_ns, sign in ((start_ns, 1), (end_ns, -1)):
        place = np.searchsorted(times_ns, edge_ns)
        np.add.at(change, place, sign * density)
        np.add.at(number, place, sign)
    # A sum of densities that should be 0 is a rounding error away from it.
    waiting = np.where(np.cumsum(number) > 0, np.cumsum(change).clip(min=0.0), 0.0)
    return np.asarray(waiting[:-1])


def last_finishing(
    children: Sequence[tuple[T, int, int]], start_ns: int, end_ns: int
) -> list[tuple[T, int, int]]:
    """Return which child is on the path when: at each moment the open one that ends last.

    Args:
        children: `(child, start_ns, end_ns)`, any order, may overlap and stick out.
        start_ns: begin of the parent.
        end_ns: end of the parent.

    Returns:
        Disjoint pieces inside the parent, in no order.
    """
    taken: list[tuple[T, int, int]] = []
    cut_ns = end_ns
    for child, child_start_ns, child_end_ns in sorted(children, key=lambda c: -c[2]):
        begin_ns, stop_ns = max(start_ns, child_start_ns), min(child_end_ns, cut_ns)
        if begin_ns < stop_ns:
            taken.append((child, begin_ns, stop_ns))
            cut_ns = begin_ns
    return taken


def gaps_between(
    taken: Sequence[tuple[int, int]], start_ns: int, end_ns: int
) -> Iterator[tuple[int, int]]:
    """Yield what the disjoint pieces leave free of `[start_ns, end_ns)`, in order."""
    at_ns = start_ns
    for piece_start_ns, piece_end_ns in sorted(taken):
        if at_ns < piece_start_ns:
            yield at_ns, piece_start_ns
        at_ns = max(at_ns, piece_end_ns)
    if at_ns < end_ns:
        yield at_ns, end_ns


def covered_s(rows: Sequence[tuple[int, int]]) -> float:
    """Return the seconds that intervals of nanoseconds cover together."""
    if not rows:
        return 0.0
    start_ns, end_ns = min(a for a, _ in rows), max(b for _, b in rows)
    return (end_ns - start_ns - sum(b - a for a, b in gaps_between(rows, start_ns, end_ns))) / 1e9


class Timeline(Generic[T]):
    """Intervals in order of start; says quickly which overlap, as long as few do at once."""

    def __init__(self, rows: Iterable[tuple[int, int, T]]) -> None:
        """Take `(start_ns, end_ns, what)` in any order; empty ones never overlap anything."""
        self._rows = sorted((row for row in rows if row[0] < row[1]), key=itemgetter(0))
        self._starts_ns = [row[0] for row in self._rows]
        self._reach_ns = list(accumulate((row[1] for row in self._rows), max))

    def overlapping(self, start_ns: int, end_ns: int) -> list[tuple[int, int, T]]:
        """Return what overlaps `[start_ns, end_ns)`, in order of start."""
        first = bisect_right(self._reach_ns, start_ns)
        last = bisect_left(self._starts_ns, end_ns)
        return [row for row in self._rows[first:last] if row[1] > start_ns]
