"""Arithmetic of intervals: how a crowd's lost time divides among holders, what is on the path.

Prefix integrals instead of wait x hold pairs: O(n log n) whatever the overlap.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from operator import itemgetter
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Piece(NamedTuple):
    """Seconds of lost time spread evenly over `[start_ns, end_ns)`."""

    start_ns: int
    end_ns: int
    seconds: float

    def part(self, start_ns: int, end_ns: int) -> float:
        """Return the seconds that fall into `[start_ns, end_ns)`, which must lie inside."""
        return self.seconds * (end_ns - start_ns) / (self.end_ns - self.start_ns)


@dataclass(frozen=True, slots=True)
class Shared:
    """What each holder of a resource owes at any moment: the integral of waiting / holders."""

    times_ns: list[int]
    owed_s: list[float]
    """Seconds that one holder, present from the start, owes at `times_ns[i]`; never falls."""
    unheld: list[Piece]
    """Waiting during which nobody held the resource."""

    def owed_at(self, time_ns: int) -> float:
        """Return the integral up to `time_ns`, linear between breakpoints."""
        index = bisect_right(self.times_ns, time_ns) - 1
        if index < 0:
            return 0.0
        if index + 1 >= len(self.times_ns):
            return self.owed_s[-1]
        start_ns, end_ns = self.times_ns[index], self.times_ns[index + 1]
        rise_s = self.owed_s[index + 1] - self.owed_s[index]
        return self.owed_s[index] + rise_s * (time_ns - start_ns) / (end_ns - start_ns)


def share_out(waits: Iterable[Piece], holds: Iterable[tuple[int, int]]) -> Shared:
    """Divide waiting among the holders present, each moment for itself.

    Args:
        waits: lost time, any order, may overlap.
        holds: `(start_ns, end_ns)` of each holder, any order, may overlap.

    Returns:
        The integral, such that the sum over holds of `owed_at(end) - owed_at(start)` plus the
        seconds of `unheld` equals the seconds of `waits`.
    """
    rise: dict[int, float] = {}
    waiters: dict[int, int] = {}
    holders: dict[int, int] = {}
    for start_ns, end_ns, seconds in waits:
        density = seconds / (end_ns - start_ns)
        rise[start_ns] = rise.get(start_ns, 0.0) + density
        rise[end_ns] = rise.get(end_ns, 0.0) - density
        waiters[start_ns] = waiters.get(start_ns, 0) + 1
        waiters[end_ns] = waiters.get(end_ns, 0) - 1
    if not rise:
        return Shared([], [], [])
    first_ns, last_ns = min(rise), max(rise)
    for hold_start_ns, hold_end_ns in holds:
        start_ns, end_ns = max(hold_start_ns, first_ns), min(hold_end_ns, last_ns)
        if start_ns < end_ns:
            holders[start_ns] = holders.get(start_ns, 0) + 1
            holders[end_ns] = holders.get(end_ns, 0) - 1
    return _integrate(rise, waiters, holders)


def _integrate(rise: dict[int, float], waiters: dict[int, int], holders: dict[int, int]) -> Shared:
    times_ns = sorted(rise.keys() | holders.keys())
    owed_s = [0.0]
    unheld: list[Piece] = []
    waiting, crowd, present = 0.0, 0, 0
    for start_ns, end_ns in pairwise(times_ns):
        crowd += waiters.get(start_ns, 0)
        # A sum of densities that should be 0 is a rounding error away from it.
        waiting = max(0.0, waiting + rise.get(start_ns, 0.0)) if crowd else 0.0
        present += holders.get(start_ns, 0)
        lost_s = waiting * (end_ns - start_ns)
        owed_s.append(owed_s[-1] + (lost_s / present if present else 0.0))
        if not present and lost_s > 0:
            unheld.append(Piece(start_ns, end_ns, lost_s))
    return Shared(times_ns, owed_s, unheld)


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
