"""Where the worker gets its messages: a queue of RabbitMQ, or the outbox itself."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Protocol


class Delivery(Protocol):
    """One message, handed to this worker alone until it is settled; settle exactly once."""

    @property
    def message_id(self) -> str:
        """The same at every delivery of this message."""

    @property
    def body(self) -> bytes:
        """JSON, unless somebody else wrote to the queue."""

    @property
    def headers(self) -> Mapping[str, Any]:
        """`traceparent` of what sent it, where known."""

    @property
    def sent_at(self) -> datetime | None:
        """When the event was stored, in UTC; None if nobody said."""

    async def ack(self) -> None:
        """It took effect: never deliver it again."""

    async def requeue(self) -> None:
        """Somebody else, or this worker later, shall try again."""

    async def set_aside(self, reason: str) -> None:
        """Nobody will ever manage: keep it as a dead letter, with the reason."""


class MessageSource(AbstractAsyncContextManager["MessageSource"], Protocol):
    """Messages in about the order in which they were sent; entered once, left at shutdown.

    It mends its own connection: while the broker is away `next` just waits.
    """

    async def next(self) -> Delivery:
        """Return the next message; waits for one without limit, and may be cancelled."""
