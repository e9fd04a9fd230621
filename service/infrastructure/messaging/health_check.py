"""Whether RabbitMQ lets us in, on a connection that is opened and closed by each check."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

import pika

from service.application.settings import Settings
from service.infrastructure.messaging.parameters import connection_parameters


class RabbitMQCheck:
    """A handshake through pika, which blocks, hence in the one thread of this check.

    A check that is given up leaves its thread behind until pika's own limits end it; the next one
    waits for that thread and starts no other.
    """

    name = "rabbitmq"

    def __init__(self, settings: Settings) -> None:
        # It tells each failed attempt several times over; what matters is the check's result.
        logging.getLogger("pika").setLevel(logging.CRITICAL)
        self._parameters = connection_parameters(settings)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rabbitmq-health")
        self._handshake: asyncio.Future[None] | None = None

    async def check(self) -> None:
        """Return if RabbitMQ opens a connection; raise anything if not."""
        if self._handshake is None or self._handshake.done():
            loop = asyncio.get_running_loop()
            self._handshake = loop.run_in_executor(self._thread, self._shake_hands)
            self._handshake.add_done_callback(_looked_at)
        await asyncio.shield(self._handshake)

    def _shake_hands(self) -> None:
        pika.BlockingConnection(self._parameters).close()


def _looked_at(handshake: asyncio.Future[None]) -> None:
    # One that fails after its check was given up would be reported as forgotten.
    if not handshake.cancelled():
        handshake.exception()
