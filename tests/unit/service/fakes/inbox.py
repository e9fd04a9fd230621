"""Messages that took effect, in memory."""

from __future__ import annotations


class FakeInbox:
    def __init__(self, message_ids: set[str]) -> None:
        self._message_ids = message_ids

    async def knows(self, message_id: str) -> bool:
        return message_id in self._message_ids

    async def add(self, message_id: str) -> bool:
        if message_id in self._message_ids:
            return False
        self._message_ids.add(message_id)
        return True
