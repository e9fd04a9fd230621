"""One transaction: what is written in it is stored together or not at all."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from service.application.ports.conversation_store import ConversationStore
from service.application.ports.friendship_store import FriendshipStore
from service.application.ports.inbox import Inbox
from service.application.ports.nightly_log import NightlyLog
from service.application.ports.outbox_store import OutboxStore
from service.application.ports.prompt_store import PromptStore
from service.application.ports.score_ledger import ScoreLedger


class UnitOfWork(Protocol):
    """Stores that share a transaction; leaving without `commit` undoes everything.

    A connection is taken by the first statement and given back on leaving.

    Raises (from any method of any store):
        StoreBusy: no connection became free, or a lock was not given, in time.
        StoreUnavailable: the database can't be reached or gave up a statement.
    """

    @property
    def conversations(self) -> ConversationStore:
        """Finished conversations."""

    @property
    def friendships(self) -> FriendshipStore:
        """Where each user stands."""

    @property
    def prompts(self) -> PromptStore:
        """Agents, guides and personas."""

    @property
    def outbox(self) -> OutboxStore:
        """Messages that the relay will send."""

    @property
    def ledger(self) -> ScoreLedger:
        """What every conversation brought."""

    @property
    def inbox(self) -> Inbox:
        """Messages that took effect."""

    @property
    def nights(self) -> NightlyLog:
        """How far the nightly job came."""

    async def commit(self) -> None:
        """Store everything written so far."""


BeginWork = Callable[[], AbstractAsyncContextManager[UnitOfWork]]
"""Starts a unit of work: `async with begin_work() as work:`."""
