"""Readers of emotions: with a fallback and a limit, and as real projects write them."""

from __future__ import annotations

import difflib
import gc
import os
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import groq

from service.application.analyse_session import FALLBACK
from service.application.settings import Settings
from service.domain.conversation import Message
from service.domain.friendship import SessionReading
from service.infrastructure.llm.questions import EMOTION, QUESTIONS, spoken_of

WORK_S: Final = 8.0
"""What the forgetful reader collects garbage for, whatever the machine."""
KEPT: Final = 3_000_000
"""Objects that it keeps: some 250 MB."""


class Reader(Protocol):
    """Reads a session."""

    def read(self, transcript: Sequence[Message]) -> SessionReading:
        """Return emotion and number of questions, or the fallback."""


MakeReader = Callable[[Settings], Reader]


class GroqReader:
    """Asks both questions one after the other, each with the limit of the settings if any."""

    attempts_more = 0

    def __init__(self, settings: Settings) -> None:
        self._model = settings.groq_model
        self._client = groq.Groq(
            api_key=settings.groq_api_key.get_secret_value(),
            base_url=settings.groq_base_url,
            timeout=settings.limits.llm_s,
            max_retries=self.attempts_more,
        )

    def read(self, transcript: Sequence[Message]) -> SessionReading:
        """Return the reading; where the LLM does not answer, its fallback, never an error."""
        spoken = spoken_of(transcript)
        try:
            emotion = EMOTION.answered(self._ask(EMOTION.instruction, spoken))
            questions = QUESTIONS.answered(self._ask(QUESTIONS.instruction, spoken))
        except groq.GroqError:
            return FALLBACK
        if emotion is None or questions is None:
            return FALLBACK
        return SessionReading(emotion, questions)

    def _ask(self, instruction: str, spoken: str) -> str:
        completion = self._client.chat.completions.create(
            model=self._model,
            temperature=0.0,
            max_completion_tokens=16,
            messages=[
                {"role": "system", "content": instruction},
                {"role": "user", "content": spoken},
            ],
        )
        return completion.choices[0].message.content or ""


class PatientReader(GroqReader):
    """Lets the SDK try again as often as it likes: it sleeps as long as `Retry-After` says."""

    attempts_more = 10


class ShareReader:
    """Reads from a share on the network that hangs."""

    def __init__(self, _: Settings) -> None:
        """Open a pipe into which nobody writes: the kernel lets whoever reads it wait."""
        self._share, self._nobody = os.pipe()

    def read(self, _: Sequence[Message]) -> SessionReading:
        """Return the reading once the share answers."""
        os.read(self._share, 1)
        return FALLBACK


class ForgetfulReader:
    """Keeps everything it ever saw, and collects garbage by hand "to save memory"."""

    def __init__(self, _: Settings) -> None:
        self._kept: list[list[int]] = []

    def read(self, _: Sequence[Message]) -> SessionReading:
        """Return the reading after seconds of collecting garbage."""
        if not self._kept:
            self._kept = [[number] for number in range(KEPT)]
        until_s = time.monotonic() + WORK_S
        while time.monotonic() < until_s:
            gc.collect()
        return FALLBACK


class ComparingReader:
    """Compares every sentence with every other one, again and again."""

    def __init__(self, _: Settings) -> None:
        """Take nothing."""

    def read(self, transcript: Sequence[Message]) -> SessionReading:
        """Return the reading after seconds of computing."""
        until_s = time.monotonic() + WORK_S
        while time.monotonic() < until_s:
            self._compare(transcript)
        return FALLBACK

    def _compare(self, transcript: Sequence[Message]) -> float:
        texts = [message.text * 5 for message in transcript]
        return sum(difflib.SequenceMatcher(None, a, b).ratio() for a in texts for b in texts)
