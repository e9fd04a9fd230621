"""Prompts: agents, guides and personas, by what the rules ask for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from service.domain.activities import PromptKind, PromptTemplate


class PromptStore(Protocol):
    """The table of prompts; every list is in order of id."""

    async def one(self, kind: PromptKind, level: int) -> PromptTemplate | None:
        """Return the prompt of this kind for the highest level up to `level`, or None."""

    async def persona(self, phase: str) -> PromptTemplate | None:
        """Return the persona that the companion has in a phase, or None."""

    async def topics(self, categories: Collection[str]) -> Sequence[str]:
        """Return the distinct topics of these categories."""

    async def agents_of_phase(self, phase: str) -> Sequence[PromptTemplate]:
        """Return the agents of level 1 for a phase."""

    async def agents_of_topics(
        self, topics: Collection[str], level: int
    ) -> Sequence[PromptTemplate]:
        """Return the agents for these topics that a level may have."""

    async def backups(
        self, level: int, *, without: Collection[int], limit: int
    ) -> Sequence[PromptTemplate]:
        """Return at most `limit` agents that a level may have, none of the ids in `without`."""

    async def guides(self, tags: Collection[str]) -> Mapping[str, str]:
        """Return the text of the guide for each of these tags of agents that has one."""
