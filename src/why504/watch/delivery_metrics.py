"""What became of the spans that were sent; every label is there at 0 from the start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from why504 import names

FAILED: Final = ("unreachable", "busy", "misdirected", "too_large", "refused")
"""Of requests; all but the last two are tried again."""
DROPPED: Final = ("queue_full", "too_large", "refused", "rejected", "stopped")
"""Of spans."""


class Delivered:
    """Counts spans and requests; the gauges ask whoever delivers."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._sent = Counter(
            names.METRIC_WATCH_SENT.removesuffix("_total"), "Spans taken.", registry=registry
        )
        failed = Counter(
            names.METRIC_WATCH_FAILED.removesuffix("_total"),
            "Requests not taken.",
            ["reason"],
            registry=registry,
        )
        dropped = Counter(
            names.METRIC_WATCH_DROPPED.removesuffix("_total"),
            "Spans given up.",
            ["reason"],
            registry=registry,
        )
        self._failed = {reason: failed.labels(reason) for reason in FAILED}
        self._dropped = {reason: dropped.labels(reason) for reason in DROPPED}
        self._queued = Gauge(
            names.METRIC_WATCH_QUEUED, "Records that wait to be sent.", registry=registry
        )
        self._unsent_s = Gauge(
            names.METRIC_WATCH_UNSENT_S,
            "For how long nothing that was sent has been taken; 0 while it is.",
            registry=registry,
        )

    def read(self, *, queued: Callable[[], int], unsent_s: Callable[[], float]) -> None:
        """Ask these whenever somebody looks."""
        self._queued.set_function(queued)
        self._unsent_s.set_function(unsent_s)

    def sent(self, spans: int) -> None:
        """Count spans that were taken."""
        self._sent.inc(spans)

    def failed(self, reason: str) -> None:
        """Count a request that was not."""
        self._failed[reason].inc()

    def dropped(self, reason: str, spans: int) -> None:
        """Count spans that nobody will get."""
        self._dropped[reason].inc(spans)
