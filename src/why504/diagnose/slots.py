"""Slots: holds of one resource laid side by side, to ask who held it at a moment.

Holds in one slot never overlap, so a slot answers by bisection; there are as many slots as units
were ever held at once (the capacity of a pool).
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Sequence

from why504.model import Hold


class Slots:
    """Who held a resource when."""

    def __init__(self, holds: Sequence[tuple[int, int, Hold]]) -> None:
        """Lay out `(start_ns, end_ns, hold)`, which must be in order of start."""
        self._starts_ns: list[list[int]] = []
        self._rows: list[list[tuple[int, int, Hold]]] = []
        free: list[tuple[int, int]] = []
        for row in holds:
            if free and free[0][0] <= row[0]:
                _, slot = heapq.heappop(free)
            else:
                slot = len(self._rows)
                self._rows.append([])
                self._starts_ns.append([])
            self._rows[slot].append(row)
            self._starts_ns[slot].append(row[0])
            heapq.heappush(free, (row[1], slot))

    def at(self, time_ns: int) -> Hold | None:
        """Return who held it at `time_ns`, of several the one that had it longest."""
        oldest: tuple[int, int, Hold] | None = None
        for starts_ns, rows in zip(self._starts_ns, self._rows, strict=True):
            index = bisect_right(starts_ns, time_ns) - 1
            if index < 0 or rows[index][1] <= time_ns:
                continue
            if oldest is None or rows[index][0] < oldest[0]:
                oldest = rows[index]
        return oldest[2] if oldest else None
