"""How fast messages may follow each other: what Google allows, and what people can read."""

from __future__ import annotations

import random
from collections import deque
from typing import Final

APART_S: Final = 1.05
"""Google takes one a second, for all webhooks of a space together."""
CALM_APART_S: Final = 3.6
"""In a storm; what comes meanwhile goes into the next message."""
AT_ONCE: Final = 4
"""So many in a minute are no storm."""
_MINUTE_S: Final = 60.0
_LONGEST_S: Final = 32.0
"""A room that is back is noticed by then."""
_FIRST_S: Final = 1.0
_DOUBLINGS: Final = 10
"""More would be no longer, and after days no number."""


class Pace:
    """When the next message may be sent; on a monotonic clock."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._sent_s: deque[float] = deque()
        self._failures = 0
        self._not_before_s = 0.0

    def wait_s(self, now_s: float) -> float:
        """Return for how long to wait; 0.0 when a message may be sent now."""
        while self._sent_s and self._sent_s[0] <= now_s - _MINUTE_S:
            self._sent_s.popleft()
        apart_s = APART_S if len(self._sent_s) < AT_ONCE else CALM_APART_S
        due_s = self._sent_s[-1] + apart_s if self._sent_s else now_s
        return max(0.0, due_s - now_s, self._not_before_s - now_s)

    @property
    def is_storm(self) -> bool:
        """Return whether messages are held apart, so that each should tell all that waits."""
        return len(self._sent_s) >= AT_ONCE

    def sent(self, now_s: float) -> None:
        """Note that a message is in the room."""
        self._sent_s.append(now_s)
        self._failures = 0
        self._not_before_s = 0.0

    def failed(self, now_s: float) -> None:
        """Note that the room did not take one: wait longer each time, and never all at once."""
        # It may have been counted, or even be there.
        self._sent_s.append(now_s)
        longest_s = min(_LONGEST_S, _FIRST_S * 2.0 ** min(self._failures, _DOUBLINGS))
        self._failures += 1
        self._not_before_s = now_s + longest_s * self._chance.uniform(0.5, 1.0)
