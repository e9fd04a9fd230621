"""The next activity: the user's status under lock, then the prompts, one SELECT after another."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, select

from lab.sync.store import Store
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
from service.infrastructure.db.tables import prompt_template as prompts

_COLUMNS: Final = (
    prompts.c.id, prompts.c.kind, prompts.c.name, prompts.c.tag, prompts.c.topic, prompts.c.body,
)  # fmt: skip
_AGENT: Final = prompts.c.kind == PromptKind.AGENT


def suggest(store: Store, user_id: str) -> Suggestion:
    """Return the candidates, and count that they were suggested."""
    status = store.lock(user_id)
    level, rule = status.level, RULES[status.level]
    persona, found = _candidates(store, status, rule)
    agents = rotated(found, status.suggestions, rule.candidates)
    chosen = [agent.template_id for agent in agents]
    others = _prompts(store, _AGENT, prompts.c.level <= level, prompts.c.id.not_in(chosen))
    backups = tuple(others[: rule.backups])
    suggestion = Suggestion(
        status=status,
        persona=persona,
        agents=agents,
        guides=_guides(store, {agent.tag for agent in (*agents, *backups)}),
        default=_one(store, PromptKind.DEFAULT, level),
        review=_one(store, PromptKind.REVIEW, level),
        wrap_up=_one(store, PromptKind.WRAP_UP, level),
        backups=backups,
    )
    store.change(user_id, suggestions=status.suggestions + 1)
    store.commit()
    return suggestion


def _candidates(
    store: Store, status: FriendshipStatus, rule: LevelRule
) -> tuple[PromptTemplate | None, Sequence[PromptTemplate]]:
    if rule.pick_by is PickBy.PHASE:
        of_phase = prompts.c.phase == phase_of(status.score)
        personas = _prompts(store, prompts.c.kind == PromptKind.PERSONA, of_phase)
        found = _prompts(store, _AGENT, prompts.c.level == 1, of_phase)
        return (personas[0] if personas else None), found
    query = select(prompts.c.topic).where(prompts.c.category.in_(rule.categories)).distinct()
    topics = [topic for topic in store.session.scalars(query) if topic is not None]
    wanted = least_visited(topics, status.topic_metrics, rule.candidates)
    up_to = prompts.c.level <= status.level
    return None, _prompts(store, _AGENT, up_to, prompts.c.topic.in_(wanted))


def _one(store: Store, kind: PromptKind, level: int) -> PromptTemplate | None:
    found = _prompts(store, prompts.c.kind == kind, prompts.c.level <= level)
    return found[-1] if found else None


def _guides(store: Store, tags: Collection[str]) -> dict[str, str]:
    found = _prompts(store, prompts.c.kind == PromptKind.GUIDE, prompts.c.tag.in_(tags))
    return {guide.tag: guide.body for guide in found}


def _prompts(store: Store, *wanted: ColumnElement[bool]) -> list[PromptTemplate]:
    query = select(*_COLUMNS).where(*wanted).order_by(prompts.c.level, prompts.c.id)
    return [_prompt(row) for row in store.session.execute(query)]


def _prompt(row: Any) -> PromptTemplate:
    return PromptTemplate(row.id, PromptKind(row.kind), row.name, row.tag, row.topic, row.body)
