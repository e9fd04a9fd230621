"""What every conversation brought: a status is the sum of its user's ledger."""

from __future__ import annotations

from typing import Protocol

from service.domain.friendship import LedgerEntry


class ScoreLedger(Protocol):
    """One entry a conversation, in the transaction of the status that it is summed into."""

    async def find(self, conversation_id: str) -> LedgerEntry | None:
        """Return what this conversation brought, or None if it was never scored."""

    async def put(self, entry: LedgerEntry) -> None:
        """Store the entry in place of an earlier one of the same conversation."""
