"""What the companion remembers of a user beyond one session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from service.domain.conversation import Message


class Memory(Protocol):
    """A memory that may be away: then nothing is recalled and nothing raised."""

    async def recall(self, user_id: str) -> Sequence[str]:
        """Return a few sentences about the user, none if there are none or it does not answer."""

    async def remember(self, user_id: str, transcript: Sequence[Message]) -> None:
        """Keep a session; whether it was kept is counted, not told."""

    async def aclose(self) -> None:
        """Give back connections; called once, at shutdown."""
