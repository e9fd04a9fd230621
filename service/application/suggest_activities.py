"""Candidates for a user's next activity, by the level of the friendship."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.application.ports.prompt_store import PromptStore
from service.application.ports.unit_of_work import BeginWork
from service.domain.activities import (
    RULES,
    LevelRule,
    PickBy,
    PromptKind,
    PromptTemplate,
    Suggestion,
    least_visited,
    phase_of,
    rotated,
)
from service.domain.friendship import FriendshipStatus


@dataclass(frozen=True, slots=True)
class SuggestActivities:
    """`POST /v1/activities/suggest`."""

    begin_work: BeginWork

    async def __call__(self, user_id: str) -> Suggestion:
        """Return the candidates, and count that they were suggested.

        The status stays locked meanwhile: two calls at once must not get the same turn.

        Raises:
            Unavailable: the store is, see its port.
        """
        async with self.begin_work() as work:
            status = await work.friendships.lock(user_id)
            suggestion = await _suggest(work.prompts, status)
            await work.friendships.count_suggestion(user_id)
            await work.commit()
        return suggestion


async def _suggest(prompts: PromptStore, status: FriendshipStatus) -> Suggestion:
    level, rule = status.level, RULES[status.level]
    persona, found = await _candidates(prompts, status, rule)
    agents = rotated(found, status.suggestions, rule.candidates)
    chosen = [agent.template_id for agent in agents]
    backups = await prompts.backups(level, without=chosen, limit=rule.backups)
    return Suggestion(
        status=status,
        persona=persona,
        agents=agents,
        guides=await prompts.guides({agent.tag for agent in (*agents, *backups)}),
        default=await prompts.one(PromptKind.DEFAULT, level),
        review=await prompts.one(PromptKind.REVIEW, level),
        wrap_up=await prompts.one(PromptKind.WRAP_UP, level),
        backups=tuple(backups),
    )


async def _candidates(
    prompts: PromptStore, status: FriendshipStatus, rule: LevelRule
) -> tuple[PromptTemplate | None, Sequence[PromptTemplate]]:
    if rule.pick_by is PickBy.PHASE:
        phase = phase_of(status.score)
        return await prompts.persona(phase), await prompts.agents_of_phase(phase)
    topics = await prompts.topics(rule.categories)
    wanted = least_visited(topics, status.topic_metrics, rule.candidates)
    return None, await prompts.agents_of_topics(wanted, status.level)
