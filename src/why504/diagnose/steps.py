"""Sweep lines over open intervals: how a waiting crowd's lost time divides among holders.

Prefix integrals instead of wait x hold pairs: O(n log n) whatever the overlap.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Piece:
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
    holders: dict[int, int] = {}
    for piece in waits:
        density = piece.seconds / (piece.end_ns - piece.start_ns)
        rise[piece.start_ns] = rise.get(piece.start_ns, 0.0) + density
        rise[piece.end_ns] = rise.get(piece.end_ns, 0.0) - density
    if not rise:
        return Shared([], [], [])
    first_ns, last_ns = min(rise), max(rise)
    for hold_start_ns, hold_end_ns in holds:
        start_ns, end_ns = max(hold_start_ns, first_ns), min(hold_end_ns, last_ns)
        if start_ns < end_ns:
            holders[start_ns] = holders.get(start_ns, 0) + 1
            holders[end_ns] = holders.get(end_ns, 0) - 1
    return _integrate(rise, holders)


def _integrate(rise: dict[int, float], holders: dict[int, int]) -> Shared:
    times_ns = sorted(rise.keys() | holders.keys())
    owed_s = [0.0]
    unheld: list[Piece] = []
    waiting, present = 0.0, 0
    for start_ns, end_ns in pairwise(times_ns):
        # A sum of densities that should be 0 is a rounding error away from it.
        waiting = max(0.0, waiting + rise.get(start_ns, 0.0))
        present += holders.get(start_ns, 0)
        lost_s = waiting * (end_ns - start_ns)
        owed_s.append(owed_s[-1] + (lost_s / present if present else 0.0))
        if not present and lost_s > 0:
            unheld.append(Piece(start_ns, end_ns, lost_s))
    return Shared(times_ns, owed_s, unheld)


def merge(intervals: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the union of `intervals` as disjoint intervals in order; empty ones vanish."""
    merged: list[tuple[int, int]] = []
    for start_ns, end_ns in sorted(i for i in intervals if i[0] < i[1]):
        if merged and start_ns <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end_ns))
        else:
            merged.append((start_ns, end_ns))
    return merged
