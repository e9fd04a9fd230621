"""A memory that is waited for as long as it takes.

Real life: the client that Mem0's documentation shows has a limit of 300 s, longer than any
gateway's, and the next line of that page awaits it.
"""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry

from service.application.settings import Settings
from service.domain.conversation import Message
from service.infrastructure.memory.mem0_client import make_client


class UnboundedMemory:
    """Awaits each call of Mem0's own client, which has no limit where `memory_s` is none."""

    def __init__(self, settings: Settings, _: CollectorRegistry) -> None:
        key = settings.mem0_api_key
        self._client = make_client(settings, key.get_secret_value() if key else "unset")

    async def recall(self, user_id: str) -> Sequence[str]:
        """Return a few sentences about the user, whenever Mem0 answers."""
        found = await self._client.search("what matters", filters={"user_id": user_id})
        return [str(each["memory"]) for each in found["results"]]

    async def remember(self, user_id: str, transcript: Sequence[Message]) -> None:
        """Keep a session, whenever Mem0 takes it."""
        said = [{"role": "user", "content": message.text} for message in transcript]
        await self._client.add(said, user_id=user_id)

    async def aclose(self) -> None:
        """Give back connections; called once, at shutdown."""
        await self._client.async_client.aclose()
