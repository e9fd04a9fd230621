"""When something that is still open is told again: at growing intervals.

A hang of ten hours writes some 130 rows, not millions (docs/how-evidence-travels.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

GROWTH: Final = 1.5
"""Each interval is so many times the one before; the engine counts on it (diagnose/endings.py)."""

_SHARE_OF_AGE: Final = 0.1
"""Of what goes on, and need not be told in pieces of seconds for ten hours."""


def pieces_s(age_s: float, least_s: float, longest_s: float) -> float:
    """Return in pieces of how many seconds that is told which has gone on for `age_s` seconds."""
    return min(max(least_s, age_s * _SHARE_OF_AGE), longest_s)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """First told `first_s` after it opened, then at intervals that grow up to `longest_s`."""

    first_s: float
    longest_s: float


class Telling:
    """How often one open thing was told, and when it is due next (monotonic seconds)."""

    __slots__ = ("_interval_s", "_rhythm", "due_s", "sequence")

    def __init__(self, opened_s: float, rhythm: Rhythm, first_s: float | None = None) -> None:
        self._rhythm = rhythm
        self._interval_s = rhythm.first_s
        self.due_s = opened_s + (rhythm.first_s if first_s is None else first_s)
        self.sequence = 0

    def tell(self, now_s: float) -> int:
        """Count one telling; return its sequence number: 1, 2, 3 ..."""
        self.sequence += 1
        self._interval_s = min(self._interval_s * GROWTH, self._rhythm.longest_s)
        self.due_s = now_s + self._interval_s
        return self.sequence
