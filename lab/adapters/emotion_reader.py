"""Readers of emotions that hang: on the loop, in threads, on a quota, on memory.

The first is Groq's synchronous client inside `async def`. Real life: `groq.Groq` and
`groq.AsyncGroq` differ in five letters, type checkers accept either, and with a fast model nobody
notices that the event loop stands still for each answer.
"""

from __future__ import annotations

import difflib
import gc
import os
import time
from collections.abc import Sequence
from typing import Final

import groq
from fastapi.concurrency import run_in_threadpool
from groq.types.chat import ChatCompletion
from prometheus_client import CollectorRegistry

from service.application.settings import Settings
from service.domain.conversation import Message
from service.domain.friendship import SessionReading
from service.infrastructure.llm.questions import EMOTION, QUESTIONS, spoken_of

ANSWER: Final = SessionReading("neutral", 0, fallback=True)
WORK_S: Final = 8.0
"""What the computing readers compute for, whatever the machine."""
KEPT: Final = 3_000_000
"""Objects that the forgetful reader keeps: some 250 MB."""


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


class PatientEmotionReader(SyncEmotionReader):
    """Lets the SDK try again as often as it likes: it waits as long as `Retry-After` says."""

    def __init__(self, settings: Settings, registry: CollectorRegistry) -> None:
        super().__init__(settings, registry)
        self._patient = groq.AsyncGroq(
            api_key=settings.groq_api_key.get_secret_value(),
            base_url=settings.groq_base_url,
            timeout=settings.limits.llm_s,
            max_retries=10,
        )

    async def read(
        self, transcript: Sequence[Message], memories: Sequence[str] = ()
    ) -> SessionReading:
        """Return the reading, as soon as the quota allows."""
        spoken = spoken_of(transcript, memories)
        await self._patient.chat.completions.create(
            model=self._model, messages=[{"role": "user", "content": spoken}]
        )
        return ANSWER


class ThreadedEmotionReader(SyncEmotionReader):
    """Reads from a share on the network that hangs, in one of the 40 threads of FastAPI."""

    def __init__(self, settings: Settings, registry: CollectorRegistry) -> None:
        super().__init__(settings, registry)
        # A pipe into which nobody writes: the kernel lets whoever reads it wait, as NFS does.
        self._share, self._nobody = os.pipe()

    async def read(
        self, transcript: Sequence[Message], memories: Sequence[str] = ()
    ) -> SessionReading:
        """Return the reading once the share answers."""
        return await run_in_threadpool(self._from_share)

    def _from_share(self) -> SessionReading:
        os.read(self._share, 1)
        return ANSWER


class ComputingEmotionReader(SyncEmotionReader):
    """Compares every sentence with every other one, on the loop."""

    async def read(
        self, transcript: Sequence[Message], memories: Sequence[str] = ()
    ) -> SessionReading:
        """Return the reading after seconds of computing."""
        until_s = time.monotonic() + WORK_S
        while time.monotonic() < until_s:
            self._compare(transcript)
        return ANSWER

    def _compare(self, transcript: Sequence[Message]) -> float:
        texts = [message.text * 5 for message in transcript]
        return sum(difflib.SequenceMatcher(None, a, b).ratio() for a in texts for b in texts)


class ForgetfulEmotionReader(SyncEmotionReader):
    """Keeps everything it ever saw, and collects garbage by hand "to save memory"."""

    def __init__(self, settings: Settings, registry: CollectorRegistry) -> None:
        super().__init__(settings, registry)
        self._kept: list[list[int]] = []

    async def read(
        self, transcript: Sequence[Message], memories: Sequence[str] = ()
    ) -> SessionReading:
        """Return the reading after seconds of collecting garbage."""
        if not self._kept:
            self._kept = [[number] for number in range(KEPT)]
        until_s = time.monotonic() + WORK_S
        while time.monotonic() < until_s:
            gc.collect()
        return ANSWER
