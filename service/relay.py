"""The relay's composition root: `python -m service.relay`, any number of them.

It publishes what requests left in the outbox, so that no request ever waits for the broker.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from prometheus_client import CollectorRegistry

from service.application.settings import Settings
from service.infrastructure.db.engine import connector
from service.infrastructure.messaging.backlog import sample_backlog
from service.infrastructure.messaging.metrics import BacklogMetrics, PublisherMetrics
from service.infrastructure.messaging.metrics_server import serve_metrics
from service.infrastructure.messaging.publisher import Publisher
from service.infrastructure.messaging.relay_loop import RelayLoop


async def run_relay(settings: Settings) -> None:
    """Relay until cancelled, or until SIGTERM or SIGINT; what is not confirmed stays unsent.

    Raises:
        ValueError: there is no `broker_url`; a worker then takes messages from the outbox itself.
    """
    registry = CollectorRegistry()
    backlog = BacklogMetrics(registry)
    connect = connector(
        settings.database_url,
        application_name="context-handling-relay",
        limits=settings.limits,
        connect_s=settings.limits.checkout_s,
    )
    publisher = Publisher(settings, metrics=PublisherMetrics(registry), backlog=backlog)
    with serve_metrics(registry, settings.metrics_port), publisher:
        relay = RelayLoop(connect, publisher, queue=settings.queue, batch=settings.relay_batch)
        await _until_told_to_end(relay.run(), sample_backlog(connect, backlog))


async def _until_told_to_end(*endless: Coroutine[Any, Any, None]) -> None:
    async def both() -> None:
        async with asyncio.TaskGroup() as group:
            for each in endless:
                group.create_task(each)

    task = asyncio.create_task(both())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await task


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    # pika tells each attempt several times over; what matters is told by broker_thread.py.
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    asyncio.run(run_relay(Settings()))
