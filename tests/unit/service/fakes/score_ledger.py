"""The score ledger in memory."""

from __future__ import annotations

from collections.abc import Sequence

from service.domain.conversation import Message, StoredEvent
from service.domain.friendship import LedgerEntry
from service.domain.ledger import LedgerTotals


class FakeScoreLedger:
    def __init__(
        self,
        entries: dict[str, LedgerEntry],
        events: list[tuple[StoredEvent, tuple[Message, ...]]],
    ) -> None:
        self._entries = entries
        self._events = events

    async def find(self, conversation_id: str) -> LedgerEntry | None:
        return self._entries.get(conversation_id)

    async def totals(self, user_id: str, *, without: str | None = None) -> LedgerTotals:
        totals = LedgerTotals()
        for entry in self._entries.values():
            if entry.user_id == user_id and entry.conversation_id != without:
                totals = totals.plus(entry)
        return totals

    async def unread(self, user_id: str) -> Sequence[str]:
        unread = [
            event
            for event, _ in self._events
            if event.user_id == user_id
            and ((entry := self._entries.get(event.conversation_id)) is None or entry.fallback)
        ]
        unread.sort(key=lambda event: (event.ended_at, event.event_id))
        return [event.conversation_id for event in unread]

    async def put(self, entry: LedgerEntry) -> None:
        self._entries[entry.conversation_id] = entry
