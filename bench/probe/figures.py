"""The arithmetic of a run: quartiles, what a variant adds, and whether a run may be believed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

MOST_APART: Final = 0.10
"""Of A and A: two measurements of the same thing; further apart, the machine was measured."""
REFUSED: Final = 3
"""Exit code of a run that is no evidence, for or against."""


class RefusedError(Exception):
    """A and A are too far apart: what lies between the others means nothing."""


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` (0 to 1) of all are not above.

    NaN of nothing.
    """
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def quartile(values: Sequence[float]) -> float:
    """Return the 25th percentile: other guests of a machine only ever slow a round down."""
    return percentile(values, 0.25)


def usual(casts: Sequence[Sequence[float]], without: int | None = None) -> float:
    """Return the mean of the quartiles of several processes, maybe without one; NaN of none."""
    some = [quartile(cast) for number, cast in enumerate(casts) if cast and number != without]
    return sum(some) / len(some) if some else math.nan


def standard_error(without_each: Sequence[float]) -> float:
    """Return by how much a figure wavers, from what it is without each part in turn (jackknife)."""
    count = len(without_each)
    middle = sum(without_each) / count
    return math.sqrt((count - 1) / count * sum((one - middle) ** 2 for one in without_each))


def median(values: Sequence[float]) -> float:
    """Return the middle, the lower one of two."""
    return percentile(values, 0.5)


def apart(one: float, other: float) -> float:
    """Return by which share of the smaller two figures differ; infinite if one is no figure."""
    if not (one > 0 and other > 0):
        return math.inf
    return max(one, other) / min(one, other) - 1


def believable(what: str, one: float, other: float, most: float = MOST_APART) -> None:
    """Go on if A and A are close.

    Raises:
        RefusedError: they are not.
    """
    found = apart(one, other)
    if not found <= most:
        raise RefusedError(
            f"{what}: A and A are {found:.0%} apart ({one:.4g} and {other:.4g}), at most"
            f" {most:.0%} may be: this run measured the machine. Try again when it is quieter"
        )
