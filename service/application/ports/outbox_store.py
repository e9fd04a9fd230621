"""Messages that wait for the relay, in the transaction of what they tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class OutboxStore(Protocol):
    """The transactional outbox."""

    async def add(self, topic: str, payload: Mapping[str, Any]) -> None:
        """Keep a message; it exists exactly if the transaction commits."""
