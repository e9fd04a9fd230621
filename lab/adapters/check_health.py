"""A deep health check that asks its dependencies while the prober waits.

Real life: the first version of every deep health check. While all is well it takes milliseconds;
the first dependency that is silent keeps it for as long as that dependency's client waits.
"""

from __future__ import annotations

import time

import pika
from fastapi.concurrency import run_in_threadpool
from pika.exceptions import AMQPError

from service.application.check_health import CheckHealth, CheckResult, HealthReport


class CheckInTheRequest(CheckHealth):
    """Opens a connection to the broker for each prober, as long as pika's defaults allow: 15 s."""

    def __init__(self, broker_url: str) -> None:
        super().__init__([], limit_s=None, every_s=0)
        self._broker_url = broker_url

    async def keep_looking(self) -> None:
        """Return at once: this one only looks when it is asked."""

    async def __call__(self) -> HealthReport:
        """Return how the broker is, whenever that is known."""
        began_s = time.monotonic()
        error = await run_in_threadpool(self._shake_hands)
        result = CheckResult("rabbitmq", True, error, time.monotonic() - began_s)
        return HealthReport((result,), age_s=0.0, stale=False)

    def _shake_hands(self) -> str | None:
        """Return the kind of what went wrong, None if nothing did."""
        try:
            pika.BlockingConnection(pika.URLParameters(self._broker_url)).close()
        except AMQPError as error:
            return type(error).__name__
        return None
