"""The ledger: a status is what its user began with, plus what every conversation brought.

An entry holds what its conversation changed, not what it was worth: a score can't fall below 0.
So the sum needs no order, and replacing an entry twice gives what replacing it once gave.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from service.domain.friendship import FriendshipStatus, LedgerEntry

TOLERANCE: Final = 1e-6
"""Points by which a sum of many fractions may be off."""


@dataclass(frozen=True, slots=True)
class LedgerTotals:
    """The sum of some entries of one user: points, and conversations by topic."""

    points: float = 0.0
    topics: Mapping[str, int] = field(default_factory=dict)

    def plus(self, entry: LedgerEntry) -> LedgerTotals:
        """Return the sum with one entry more."""
        topics = Counter(self.topics)
        topics[entry.topic] += 1
        return LedgerTotals(self.points + entry.points, dict(topics))


def settled(status: FriendshipStatus, totals: LedgerTotals) -> FriendshipStatus:
    """Return the status as it must be if these are the totals of all the user's entries."""
    topics = Counter(status.initial_topic_metrics)
    topics.update(totals.topics)
    return replace(
        status, score=max(0.0, status.initial_score + totals.points), topic_metrics=dict(topics)
    )


def agree(one: FriendshipStatus, other: FriendshipStatus) -> bool:
    """Return whether two statuses say the same of score and topics."""
    same_score = abs(one.score - other.score) <= TOLERANCE
    return same_score and dict(one.topic_metrics) == dict(other.topic_metrics)
