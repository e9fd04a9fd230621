"""Ask about one session within one budget, whatever is asked takes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from service.application.ports.emotion_reader import EmotionReader
from service.application.ports.memory import Memory
from service.domain.conversation import Message
from service.domain.friendship import FALLBACK_EMOTION, FALLBACK_QUESTIONS, SessionReading

FALLBACK: Final = SessionReading(FALLBACK_EMOTION, FALLBACK_QUESTIONS, fallback=True)


class AnalyseSession:
    """Memory, then the reading of a session; `budget_s` is for both together, None = no limit."""

    def __init__(self, reader: EmotionReader, memory: Memory, budget_s: float | None) -> None:
        self._reader = reader
        self._memory = memory
        self._budget_s = budget_s
        self._stubborn: set[asyncio.Task[SessionReading]] = set()

    async def __call__(self, user_id: str, transcript: Sequence[Message]) -> SessionReading:
        """Return the reading; its fallback when the budget ends, at once."""
        reading = asyncio.create_task(self._read(user_id, transcript))
        try:
            # Unlike wait_for, this does not wait for the end of what it cancels: an adapter that
            # swallows its cancellation would hold the caller for as long as it likes.
            done, _ = await asyncio.wait({reading}, timeout=self._budget_s)
        finally:
            if not reading.done():
                self._stubborn.add(reading)
                reading.add_done_callback(self._forget)
                reading.cancel()
        return reading.result() if done else FALLBACK

    async def _read(self, user_id: str, transcript: Sequence[Message]) -> SessionReading:
        memories = await self._memory.recall(user_id)
        return await self._reader.read(transcript, memories)

    def _forget(self, reading: asyncio.Task[SessionReading]) -> None:
        self._stubborn.discard(reading)
        # Looked at, or asyncio reports an error that nobody waits for any more.
        if not reading.cancelled():
            reading.exception()
