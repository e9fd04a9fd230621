"""A unit of work on a database in memory: what is not committed was never written."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from service.application.ports.nightly_log import NightlyRun
from service.application.ports.unit_of_work import UnitOfWork
from service.domain.conversation import Message, StoredEvent
from service.domain.friendship import FriendshipStatus, LedgerEntry
from tests.unit.service.fakes.conversation_store import FakeConversationStore
from tests.unit.service.fakes.friendship_store import FakeFriendshipStore
from tests.unit.service.fakes.inbox import FakeInbox
from tests.unit.service.fakes.nightly_log import FakeNightlyLog
from tests.unit.service.fakes.outbox_store import FakeOutboxStore
from tests.unit.service.fakes.prompt_store import FakePromptStore, Prompt
from tests.unit.service.fakes.score_ledger import FakeScoreLedger


@dataclass
class FakeDatabase:
    events: list[tuple[StoredEvent, tuple[Message, ...]]] = field(default_factory=list)
    statuses: dict[str, FriendshipStatus] = field(default_factory=dict)
    prompts: list[Prompt] = field(default_factory=list)
    outbox: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    ledger: dict[str, LedgerEntry] = field(default_factory=dict)
    inbox: set[str] = field(default_factory=set)
    nights: dict[date, NightlyRun] = field(default_factory=dict)
    open_units: int = 0

    @asynccontextmanager
    async def begin_work(self) -> AsyncIterator[UnitOfWork]:
        self.open_units += 1
        try:
            yield FakeUnitOfWork(self)
        finally:
            self.open_units -= 1


class FakeUnitOfWork:
    def __init__(self, database: FakeDatabase) -> None:
        self._database = database
        self._events = copy.copy(database.events)
        self._statuses = copy.copy(database.statuses)
        self._outbox = copy.copy(database.outbox)
        self._ledger = copy.copy(database.ledger)
        self._inbox = copy.copy(database.inbox)
        self._nights = copy.copy(database.nights)
        self.conversations = FakeConversationStore(self._events)
        self.friendships = FakeFriendshipStore(self._statuses, self._events)
        self.prompts = FakePromptStore(database.prompts)
        self.outbox = FakeOutboxStore(self._outbox)
        self.ledger = FakeScoreLedger(self._ledger, self._events)
        self.inbox = FakeInbox(self._inbox)
        self.nights = FakeNightlyLog(self._nights)

    async def commit(self) -> None:
        self._database.events = self._events
        self._database.statuses = self._statuses
        self._database.outbox = self._outbox
        self._database.ledger = self._ledger
        self._database.inbox = self._inbox
        self._database.nights = self._nights
