"""Friendship: how a conversation scores, and which level a score is.

Every number of the rules is in a table here; nothing else in the service knows one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

LEVELS: Final = ((0.0, 1), (100.0, 2), (500.0, 3))
"""(score from which, level), ascending."""

EMOTION_POINTS: Final[Mapping[str, float]] = MappingProxyType(
    {
        "joy": 10.0,
        "love": 12.0,
        "surprise": 6.0,
        "neutral": 0.0,
        "sadness": 4.0,  # telling a companion of one's grief is trust
        "fear": 2.0,
        "anger": -8.0,
    }
)
POINTS_A_TURN: Final = 0.5
POINTS_A_QUESTION: Final = 1.5
MOST_TURNS: Final = 40
MOST_QUESTIONS: Final = 10
"""More turns or questions than these add nothing, so that a long log can't buy a level."""

FALLBACK_EMOTION: Final = "neutral"
FALLBACK_QUESTIONS: Final = 0


@dataclass(frozen=True, slots=True)
class FriendshipStatus:
    """Where a user stands; `topic_metrics` counts conversations by topic.

    Score and metrics are what the user began with, plus the user's ledger (domain/ledger.py).
    """

    user_id: str
    score: float = 0.0
    topic_metrics: Mapping[str, int] = field(default_factory=dict)
    suggestions: int = 0
    """How often activities were suggested: turns the choice of agents."""
    initial_score: float = 0.0
    """What the user had before there was a ledger."""
    initial_topic_metrics: Mapping[str, int] = field(default_factory=dict)

    @property
    def level(self) -> int:
        """1, 2 or 3."""
        return level_of(self.score)


@dataclass(frozen=True, slots=True)
class SessionReading:
    """What the LLM made of a session; `fallback` if any part of it is not the LLM's answer."""

    emotion: str
    questions: int
    fallback: bool = False


@dataclass(frozen=True, slots=True)
class Score:
    """The score after one conversation, the level it is, and the points that it brought."""

    score: float
    level: int
    points: float


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What one conversation brought; `points` is what it changed, with the score kept above 0."""

    conversation_id: str
    user_id: str
    points: float
    topic: str
    """One of domain/topics.py."""
    emotion: str
    questions: int
    fallback: bool
    """Whether the LLM's answer is still missing: such an entry brings 0 points."""


def level_of(score: float) -> int:
    """Return the level of a score; below the first threshold it is the first level."""
    thresholds = [threshold for threshold, _ in LEVELS]
    return LEVELS[max(0, bisect_right(thresholds, score) - 1)][1]


def score_after(current: float, *, turns: int, reading: SessionReading) -> Score:
    """Return the score after a session of `turns` user turns; never below 0.

    A fallback keeps the score as it was: a silent LLM must not make friends or lose them.
    """
    if reading.fallback:
        kept = max(0.0, current)
        return Score(kept, level_of(kept), 0.0)
    points = (
        EMOTION_POINTS.get(reading.emotion, EMOTION_POINTS[FALLBACK_EMOTION])
        + POINTS_A_TURN * min(max(turns, 0), MOST_TURNS)
        + POINTS_A_QUESTION * min(max(reading.questions, 0), MOST_QUESTIONS)
    )
    score = max(0.0, current + points)
    return Score(score, level_of(score), score - current)
