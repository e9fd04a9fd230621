"""Prompts in PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from service.domain.activities import PromptKind, PromptTemplate
from service.infrastructure.db.tables import prompt_template as prompts

_PROMPT: Final[Select[Any]] = select(
    prompts.c.id,
    prompts.c.kind,
    prompts.c.name,
    prompts.c.tag,
    prompts.c.topic,
    prompts.c.body,
)


class SqlPromptStore:
    """The table `prompt_template`."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def one(self, kind: PromptKind, level: int) -> PromptTemplate | None:
        """Return the prompt of this kind for the highest level up to `level`, or None."""
        query = _PROMPT.where(prompts.c.kind == kind, prompts.c.level <= level)
        found = await self._all(query.order_by(prompts.c.level.desc(), prompts.c.id).limit(1))
        return found[0] if found else None

    async def persona(self, phase: str) -> PromptTemplate | None:
        """Return the persona that the companion has in a phase, or None."""
        query = _PROMPT.where(prompts.c.kind == PromptKind.PERSONA, prompts.c.phase == phase)
        found = await self._all(query.order_by(prompts.c.id).limit(1))
        return found[0] if found else None

    async def topics(self, categories: Collection[str]) -> Sequence[str]:
        """Return the distinct topics of these categories."""
        query = (
            select(prompts.c.topic)
            .where(prompts.c.category.in_(categories), prompts.c.topic.is_not(None))
            .distinct()
        )
        return [topic for topic in await self._session.scalars(query) if topic is not None]

    async def agents_of_phase(self, phase: str) -> Sequence[PromptTemplate]:
        """Return the agents of level 1 for a phase."""
        query = _PROMPT.where(
            prompts.c.kind == PromptKind.AGENT, prompts.c.level == 1, prompts.c.phase == phase
        )
        return await self._all(query.order_by(prompts.c.id))

    async def agents_of_topics(
        self, topics: Collection[str], level: int
    ) -> Sequence[PromptTemplate]:
        """Return the agents for these topics that a level may have."""
        query = _PROMPT.where(
            prompts.c.kind == PromptKind.AGENT,
            prompts.c.level <= level,
            prompts.c.topic.in_(topics),
        )
        return await self._all(query.order_by(prompts.c.id))

    async def backups(
        self, level: int, *, without: Collection[int], limit: int
    ) -> Sequence[PromptTemplate]:
        """Return at most `limit` agents that a level may have, none of the ids in `without`."""
        query = _PROMPT.where(
            prompts.c.kind == PromptKind.AGENT,
            prompts.c.level <= level,
            prompts.c.id.not_in(without),
        )
        return await self._all(query.order_by(prompts.c.id).limit(limit))

    async def guides(self, tags: Collection[str]) -> Mapping[str, str]:
        """Return the text of the guide for each of these tags of agents that has one."""
        query = select(prompts.c.tag, prompts.c.body).where(
            prompts.c.kind == PromptKind.GUIDE, prompts.c.tag.in_(tags)
        )
        return {tag: body for tag, body in await self._session.execute(query)}

    async def _all(self, query: Select[Any]) -> list[PromptTemplate]:
        return [_prompt(row) for row in await self._session.execute(query)]


def _prompt(row: Row[Any]) -> PromptTemplate:
    return PromptTemplate(
        template_id=row.id,
        kind=PromptKind(row.kind),
        name=row.name,
        tag=row.tag,
        topic=row.topic,
        body=row.body,
    )
