"""What every conversation brought: a status is the sum of its user's ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from service.domain.friendship import LedgerEntry
from service.domain.ledger import LedgerTotals


class ScoreLedger(Protocol):
    """One entry a conversation, in the transaction of the status that it is summed into."""

    async def find(self, conversation_id: str) -> LedgerEntry | None:
        """Return what this conversation brought, or None if it was never scored."""

    async def totals(self, user_id: str, *, without: str | None = None) -> LedgerTotals:
        """Return the sum of the user's entries but for the conversation `without`."""

    async def unread(self, user_id: str) -> Sequence[str]:
        """Return the user's conversations without an entry or with a fallback, oldest first."""

    async def put(self, entry: LedgerEntry) -> None:
        """Store the entry in place of an earlier one of the same conversation."""
