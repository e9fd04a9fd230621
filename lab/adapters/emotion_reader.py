"""Groq's synchronous client inside `async def`.

Real life: `groq.Groq` and `groq.AsyncGroq` differ in five letters, type checkers accept either, and
with a fast model nobody notices that the event loop stands still for each answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import groq
from groq.types.chat import ChatCompletion
from prometheus_client import CollectorRegistry

from service.application.settings import Settings
from service.domain.conversation import Message
from service.domain.friendship import SessionReading
from service.infrastructure.llm.questions import EMOTION, QUESTIONS, spoken_of


class SyncEmotionReader:
    """Asks both questions one after the other, each blocking every other request."""

    def __init__(self, settings: Settings, _: CollectorRegistry) -> None:
        self._model = settings.groq_model
        self._client = groq.Groq(
            api_key=settings.groq_api_key.get_secret_value(),
            base_url=settings.groq_base_url,
            timeout=settings.limits.llm_s,
            max_retries=0,
        )

    async def read(
        self, transcript: Sequence[Message], memories: Sequence[str] = ()
    ) -> SessionReading:
        """Return the reading; where the LLM does not answer, its fallback, never an error."""
        spoken = spoken_of(transcript, memories)
        try:
            emotion = EMOTION.answer.search(self._ask(EMOTION.instruction, spoken))
            questions = QUESTIONS.answer.search(self._ask(QUESTIONS.instruction, spoken))
        except groq.GroqError:
            emotion = questions = None
        if emotion is None or questions is None:
            return SessionReading(EMOTION.fallback, QUESTIONS.fallback, fallback=True)
        return SessionReading(emotion[1], int(questions[1]))

    async def aclose(self) -> None:
        """Give back connections; called once, at shutdown."""
        self._client.close()

    def _ask(self, instruction: str, spoken: str) -> str:
        completion: ChatCompletion = self._client.chat.completions.create(
            model=self._model,
            temperature=0.0,
            max_completion_tokens=16,
            messages=[
                {"role": "system", "content": instruction},
                {"role": "user", "content": spoken},
            ],
        )
        return (completion.choices[0].message.content or "").lower()
