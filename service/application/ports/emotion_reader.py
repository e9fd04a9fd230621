"""What a session felt like, as an LLM reads it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from service.domain.conversation import Message
from service.domain.friendship import SessionReading


class EmotionReader(Protocol):
    """Reads the emotion of a session and counts the user's questions."""

    async def read(
        self, transcript: Sequence[Message], memories: Sequence[str] = ()
    ) -> SessionReading:
        """Return the reading; where the LLM does not answer, its fallback, never an error.

        `memories` is what is known of the user from earlier sessions, as context.
        """

    async def aclose(self) -> None:
        """Give back connections; called once, at shutdown."""
