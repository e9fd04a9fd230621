"""What a worker does with messages: a bounded number at once, each settled exactly once.

What can't be done now is kept and tried again here: putting it back would use up its deliveries,
and an outage of ten hours would turn every message into a dead letter.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Final

from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind, Status, StatusCode
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from service.application.errors import Unavailable
from service.application.ports.message_source import Delivery, MessageSource
from service.application.settings import Settings
from service.domain.conversation import ConversationEnded
from service.infrastructure.messaging.metrics import ConsumerMetrics

Process = Callable[[str, ConversationEnded], Awaitable[bool]]
"""Takes effect once; whether it did now. Raises Unavailable for "later"."""

LATER_S: Final = (0.5, 10.0)
"""Before an attempt after Unavailable: about the first, growing to the longest."""
REQUEUE_PAUSE_S: Final = 1.0
"""Before an unexpected failure goes back: a poisonous message must not spin."""

log = logging.getLogger(__name__)


class WorkerLoop:
    """Takes messages from a source until it is told to end."""

    def __init__(
        self,
        source: MessageSource,
        process: Process,
        *,
        settings: Settings,
        metrics: ConsumerMetrics,
    ) -> None:
        self._source = source
        self._process = process
        self._metrics = metrics
        self._slots = asyncio.Semaphore(settings.worker_concurrency)
        self._shutdown_s = settings.worker_shutdown_s
        self._system = "postgresql" if settings.broker_url is None else "rabbitmq"
        self._queue = settings.queue
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until `stopping` is set, then finish what was begun or put it back."""
        async with self._source:
            taking = asyncio.create_task(self._take())
            told = asyncio.create_task(stopping.wait())
            await asyncio.wait({taking, told}, return_when=asyncio.FIRST_COMPLETED)
            told.cancel()
            if not taking.cancel():
                taking.result()  # it only ends by an error
            await asyncio.wait({taking})
            await self._wind_up()

    async def _take(self) -> None:
        while True:
            await self._slots.acquire()
            delivery = await self._source.next()
            task = asyncio.create_task(self._settle(delivery))
            self._under_way.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._slots.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a message could not be settled", exc_info=error)

    async def _wind_up(self) -> None:
        if not self._under_way:
            return
        _, unfinished = await asyncio.wait(self._under_way, timeout=self._shutdown_s)
        for task in unfinished:
            task.cancel()
        if unfinished:
            await asyncio.wait(unfinished, timeout=5)

    async def _settle(self, delivery: Delivery) -> None:
        metrics = self._metrics
        if delivery.sent_at is not None:
            lag_s = (datetime.now(UTC) - delivery.sent_at).total_seconds()
            metrics.lag_s.observe(max(0.0, lag_s))
        began_s = time.monotonic()
        with metrics.under_way.track_inprogress(), self._span(delivery) as span:
            outcome = await self._outcome(delivery, span)
            span.set_attribute("messaging.client.outcome", outcome)
        metrics.process_s.observe(time.monotonic() - began_s)
        metrics.processed(outcome)

    def _span(self, delivery: Delivery) -> AbstractContextManager[trace.Span]:
        return trace.get_tracer(__name__).start_as_current_span(
            f"process {self._queue}",
            context=propagate.extract(_texts(delivery)),
            kind=SpanKind.CONSUMER,
            attributes={
                "messaging.system": self._system,
                "messaging.operation.name": "process",
                "messaging.operation.type": "process",
                "messaging.destination.name": self._queue,
                "messaging.message.id": delivery.message_id,
                "messaging.message.body.size": len(delivery.body),
            },
        )

    async def _outcome(self, delivery: Delivery, span: trace.Span) -> str:
        """Process and settle; one of metrics.PROCESSED."""
        try:
            event = _parse(delivery)
        except ValueError as error:
            span.set_status(Status(StatusCode.ERROR, str(error)))
            log.warning("message %r is set aside: %s", delivery.message_id, error)
            await delivery.set_aside(str(error))
            return "set_aside"
        try:
            effective = await self._keep_trying(delivery.message_id, event)
        except asyncio.CancelledError:
            await delivery.requeue()
            return "requeued"
        except Exception as error:  # whatever it is, the message is not lost
            # Its kind only: a message may quote what it stumbled over, and that is private talk.
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            log.exception("message %s goes back", delivery.message_id)
            try:
                await asyncio.sleep(REQUEUE_PAUSE_S)
            finally:
                await delivery.requeue()
            return "requeued"
        await delivery.ack()
        return "done" if effective else "duplicate"

    async def _keep_trying(self, message_id: str, event: ConversationEnded) -> bool:
        def tell(state: RetryCallState) -> None:
            self._metrics.retries.inc()
            error = state.outcome.exception() if state.outcome else None
            log.warning("message %s waits: %s", message_id, error)

        first_s, longest_s = LATER_S
        attempts = AsyncRetrying(
            retry=retry_if_exception_type(Unavailable),
            wait=wait_random_exponential(multiplier=first_s, max=longest_s),
            before_sleep=tell,
        )
        return await attempts(self._process, message_id, event)


def _parse(delivery: Delivery) -> ConversationEnded:
    """Return the event.

    Raises:
        ValueError: it is none; says what is wrong, never what it holds.
    """
    if not delivery.message_id:
        raise ValueError("it has no message id, so that a second delivery could not be told")
    try:
        payload = json.loads(delivery.body)
    except (ValueError, RecursionError):
        raise ValueError("the body is not JSON") from None
    return ConversationEnded.parse(payload)


def _texts(delivery: Delivery) -> dict[str, str]:
    return {name: value for name, value in delivery.headers.items() if isinstance(value, str)}
