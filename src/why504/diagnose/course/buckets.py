"""Arithmetic of buckets: how often, how much and how many at once, in equal pieces of a window.

Sweeps over sorted times instead of a loop over items and buckets: O(n log n), whatever overlaps.
Seconds count from the start of the window.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from why504.model import Window

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

MOST: Final = 240
"""So many buckets at most: about one a pixel of a phone."""
_LENGTHS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
_SECOND_NS: Final = 10**9


class Buckets:
    """Equal pieces of a window, but for the last, which is up to twice as long: at most 240."""

    def __init__(self, window: Window) -> None:
        """Choose the length of a bucket; an empty window counts as one of a second."""
        self.window = Window(window.start_ns, max(window.end_ns, window.start_ns + _SECOND_NS))
        length_ns = self.window.end_ns - self.window.start_ns
        # What lasts longer than all of the list is divided evenly.
        widths_ns = [s * _SECOND_NS for s in _LENGTHS_S] + [-(-length_ns // MOST)]
        self.bucket_ns = next(width for width in widths_ns if length_ns <= width * MOST)
        # A last piece of its own, however short, would make one 504 look like a hundred a second.
        number = length_ns // self.bucket_ns
        self.edges_s: Floats = np.arange(number + 1, dtype=np.float64)
        self.edges_s *= self.bucket_ns / _SECOND_NS
        self.edges_s[-1] = length_ns / _SECOND_NS
        self.lengths_s: Floats = np.diff(self.edges_s)

    def __len__(self) -> int:
        return len(self.lengths_s)

    def seconds(self, times_ns: Iterable[int]) -> Floats:
        """Return Unix times as seconds since the start of the window."""
        start_ns = self.window.start_ns
        return np.array([time_ns - start_ns for time_ns in times_ns], np.float64) / _SECOND_NS

    def rate(self, at_s: Floats, weight: Floats) -> Floats:
        """Return how much there was a second, in each bucket; the end of the window is inside."""
        inside = (at_s >= 0) & (at_s <= self.edges_s[-1])
        counted = np.bincount(self._place(at_s[inside]), weight[inside], len(self))
        return np.asarray(counted / self.lengths_s)

    def filled(self, start_s: Floats, end_s: Floats, weight: Floats) -> Floats:
        """Return how much of intervals was there on average, in each bucket."""
        end_s = np.maximum(start_s, end_s)
        return np.diff(self._until(start_s, weight) - self._until(end_s, weight)) / self.lengths_s

    def most(self, start_s: Floats, end_s: Floats, weight: Floats) -> Floats:
        """Return how many intervals there were at once, at the worst moment of each bucket."""
        times_s = np.concatenate((np.maximum(start_s, end_s), start_s))
        order = np.argsort(times_s, kind="stable")  # of what happens at once, ends come first
        count = np.cumsum(np.concatenate((-weight, weight))[order])
        # Weights that should cancel out are a rounding error away from it.
        return self.highest(times_s[order], np.where(count > 1e-9, count, 0.0))

    def highest(self, times_s: Floats, count: Floats) -> Floats:
        """Return the largest value in each bucket of what is `count[i]` from `times_s[i]` on.

        Args:
            times_s: in order; of equal ones the last counts.
            count: 0 before the first.
        """
        last = np.append(times_s[1:] != times_s[:-1], True)[: len(times_s)]
        times_s, count = times_s[last], count[last]
        known = np.concatenate((np.zeros(1), count))
        result: Floats = known[np.searchsorted(times_s, self.edges_s[:-1], "right")]
        inside = (times_s >= 0) & (times_s < self.edges_s[-1])
        np.maximum.at(result, self._place(times_s[inside]), count[inside])
        return result

    def peaks(self, at_s: Floats, values: Floats) -> Floats:
        """Return the largest of what was told in each bucket; NaN where nothing was."""
        inside = (at_s >= 0) & (at_s < self.edges_s[-1])
        result = np.full(len(self), -np.inf)
        np.maximum.at(result, self._place(at_s[inside]), values[inside])
        return np.where(np.isinf(result), np.nan, result)

    def lasting(self, at_s: Floats, values: Floats, for_s: float) -> Floats:
        """Return what was told last, for as long as it counts; NaN where that is longer ago.

        Args:
            at_s: in order.
            values: told then.
            for_s: how long what was told counts.
        """
        last = np.searchsorted(at_s, self.edges_s[1:], "left") - 1
        known = last >= 0
        known[known] = at_s[last[known]] > self.edges_s[:-1][known] - for_s
        result = np.full(len(self), np.nan)
        result[known] = values[last[known]]
        return result

    def touched(self, start_s: Floats, end_s: Floats) -> Mask:
        """Return in which buckets any of the intervals is, be it for a moment."""
        inside = (end_s >= 0) & (start_s < self.edges_s[-1]) & (start_s <= end_s)
        change = np.zeros(len(self) + 1)
        np.add.at(change, self._place(start_s[inside]), 1)
        np.add.at(change, self._place(end_s[inside]) + 1, -1)
        return np.asarray(np.cumsum(change[:-1]) > 0)

    def _place(self, at_s: Floats) -> NDArray[np.int64]:
        place = np.searchsorted(self.edges_s, at_s, "right") - 1
        return np.asarray(place.clip(0, len(self) - 1))

    def _until(self, start_s: Floats, weight: Floats) -> Floats:
        """Return what intervals without an end amount to, up to each edge."""
        order = np.argsort(start_s, kind="stable")
        start_s, weight = start_s[order], weight[order]
        begun = np.searchsorted(start_s, self.edges_s)
        weights = np.concatenate((np.zeros(1), np.cumsum(weight)))[begun]
        products = np.concatenate((np.zeros(1), np.cumsum(weight * start_s)))[begun]
        return np.asarray(self.edges_s * weights - products)
