"""An LLM that says what it was told to say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.domain.conversation import Message
from service.domain.friendship import SessionReading


@dataclass
class FakeEmotionReader:
    reading: SessionReading
    on_read: Callable[[], None] = lambda: None
    closed: bool = False

    async def read(
        self, transcript: Sequence[Message], memories: Sequence[str] = ()
    ) -> SessionReading:
        self.on_read()
        return self.reading

    async def aclose(self) -> None:
        self.closed = True
