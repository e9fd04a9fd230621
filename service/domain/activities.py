"""Activities: which agents may lead the next one, by the level of the friendship.

At level 1 the phase of getting to know each other decides; from level 2 on, the topics that were
talked about least. The rules are one table, the choice is one function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from service.domain.friendship import FriendshipStatus


class PromptKind(StrEnum):
    """What a row of `prompt_template` is for."""

    AGENT = "AGENT"
    DEFAULT = "DEFAULT"
    REVIEW = "REVIEW"
    WRAP_UP = "WRAP_UP"
    GUIDE = "GUIDE"
    PERSONA = "PERSONA"


class PickBy(StrEnum):
    """How the candidates of a level are found."""

    PHASE = "phase"
    TOPIC = "topic"


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """One prompt: an agent, a guide for agents of one tag, or a persona of one phase."""

    template_id: int
    kind: PromptKind
    name: str
    tag: str
    topic: str | None
    body: str


@dataclass(frozen=True, slots=True)
class LevelRule:
    """How agents are picked at one level: how many candidates, how many backups."""

    pick_by: PickBy
    categories: tuple[str, ...]
    candidates: int
    backups: int


RULES: Final[Mapping[int, LevelRule]] = {
    1: LevelRule(PickBy.PHASE, ("getting_to_know",), candidates=2, backups=2),
    2: LevelRule(PickBy.TOPIC, ("daily_life", "interests"), candidates=3, backups=2),
    3: LevelRule(PickBy.TOPIC, ("daily_life", "interests", "inner_life"), candidates=4, backups=3),
}

PHASES: Final = ((0.0, "greeting"), (20.0, "exploring"), (60.0, "deepening"))
"""(score from which, phase of level 1), ascending."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Candidates for the next activity, best first."""

    status: FriendshipStatus
    persona: PromptTemplate | None
    agents: tuple[PromptTemplate, ...]
    guides: Mapping[str, str]
    """Text of the guide by tag of the agent."""
    default: PromptTemplate | None
    review: PromptTemplate | None
    wrap_up: PromptTemplate | None
    backups: tuple[PromptTemplate, ...]


def phase_of(score: float) -> str:
    """Return the phase that a score is in; high scores stay in the last."""
    reached = [phase for threshold, phase in PHASES if score >= threshold]
    return reached[-1] if reached else PHASES[0][1]


def least_visited(topics: Sequence[str], visits: Mapping[str, int], limit: int) -> list[str]:
    """Return at most `limit` topics, least visited first, ties by name."""
    return sorted(set(topics), key=lambda topic: (visits.get(topic, 0), topic))[:limit]


def rotated(agents: Sequence[PromptTemplate], turn: int, limit: int) -> tuple[PromptTemplate, ...]:
    """Return at most `limit` agents, starting one further at each turn, none twice."""
    if not agents:
        return ()
    start = turn % len(agents)
    return (*agents[start:], *agents[:start])[:limit]
