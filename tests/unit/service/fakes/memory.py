"""A memory that recalls what it was told to, and keeps what it is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from service.domain.conversation import Message


@dataclass
class FakeMemory:
    recalled: Sequence[str] = ()
    kept: list[tuple[str, tuple[Message, ...]]] = field(default_factory=list)
    on_call: Callable[[], None] = lambda: None
    closed: bool = False

    async def recall(self, user_id: str) -> Sequence[str]:
        self.on_call()
        return self.recalled

    async def remember(self, user_id: str, transcript: Sequence[Message]) -> None:
        self.on_call()
        self.kept.append((user_id, tuple(transcript)))

    async def aclose(self) -> None:
        self.closed = True
