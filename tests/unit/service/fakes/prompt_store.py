"""Prompts in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from service.domain.activities import PromptKind, PromptTemplate


@dataclass(frozen=True)
class Prompt:
    template: PromptTemplate
    level: int = 1
    phase: str | None = None
    category: str | None = None


class FakePromptStore:
    def __init__(self, prompts: list[Prompt]) -> None:
        self._prompts = sorted(prompts, key=lambda prompt: prompt.template.template_id)

    def _of(self, kind: PromptKind) -> list[Prompt]:
        return [prompt for prompt in self._prompts if prompt.template.kind is kind]

    async def one(self, kind: PromptKind, level: int) -> PromptTemplate | None:
        fit = [prompt for prompt in self._of(kind) if prompt.level <= level]
        fit.sort(key=lambda prompt: -prompt.level)
        return fit[0].template if fit else None

    async def persona(self, phase: str) -> PromptTemplate | None:
        fit = [each.template for each in self._of(PromptKind.PERSONA) if each.phase == phase]
        return fit[0] if fit else None

    async def topics(self, categories: Collection[str]) -> Sequence[str]:
        fit = (each.template.topic for each in self._prompts if each.category in categories)
        return list({topic for topic in fit if topic is not None})

    async def agents_of_phase(self, phase: str) -> Sequence[PromptTemplate]:
        agents = self._of(PromptKind.AGENT)
        return [each.template for each in agents if each.level == 1 and each.phase == phase]

    async def agents_of_topics(
        self, topics: Collection[str], level: int
    ) -> Sequence[PromptTemplate]:
        fit = [each.template for each in self._of(PromptKind.AGENT) if each.level <= level]
        return [template for template in fit if template.topic in topics]

    async def backups(
        self, level: int, *, without: Collection[int], limit: int
    ) -> Sequence[PromptTemplate]:
        fit = [each.template for each in self._of(PromptKind.AGENT) if each.level <= level]
        return [template for template in fit if template.template_id not in without][:limit]

    async def guides(self, tags: Collection[str]) -> Mapping[str, str]:
        guides = (each.template for each in self._of(PromptKind.GUIDE))
        return {guide.tag: guide.body for guide in guides if guide.tag in tags}
