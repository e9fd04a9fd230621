"""What the gateway answered, as metrics: in a total hang nobody else counts a request.

The application's own metrics are of requests that ended, and a request that hangs does not end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from why504 import names
from why504.watch.accesslog import GatewayLine, parse_line, written_s
from why504.watch.gateway import POLL_S, load_position
from why504.watch.tail import Tail

NEWS_S: Final = 60.0
"""A line that is read later is told as a span, but raises no alert: what it tells is over."""
_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_BORN: Final = (200, 499, 500, 502, 503, 504)
"""There at 0 from the start, so that a rate sees the first of them."""


class GatewayMetrics:
    """Requests by the status that clients got; each bucket's exemplar leads to a trace."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Histogram(
            names.METRIC_GATEWAY_REQUEST_S,
            "Requests by the gateway's access log.",
            ["status"],
            buckets=_BUCKETS_S,
            registry=registry,
        )
        self._late = Counter(
            names.METRIC_GATEWAY_LATE.removesuffix("_total"),
            "Lines read a minute or more after they were written.",
            registry=registry,
        )
        for status in _BORN:
            self._requests.labels(str(status))

    def seen(self, lines: Iterable[GatewayLine], now_s: float) -> None:
        """Count lines; `now_s` is Unix time."""
        for line in lines:
            if now_s - line.end_ns / 1e9 >= NEWS_S:
                self._late.inc()
                continue
            status = str(line.status) if 100 <= line.status <= 599 else "none"
            lasted_s = (line.end_ns - line.start_ns) / 1e9
            self._requests.labels(status).observe(lasted_s, {"trace_id": line.trace_id})


class GatewayCount:
    """Follows the log on its own: the 504s count also while nobody takes their spans.

    Args:
        log: as the watch that sends the spans has it.
        state_file: where that one keeps its position; lines before it are not counted again.
    """

    def __init__(self, log: Path, state_file: Path, metrics: GatewayMetrics) -> None:
        self._tail = Tail(log, load_position(state_file), time_of=written_s)
        self._metrics = metrics

    def run(self, stop: threading.Event) -> None:
        """Count lines until `stop` is set.

        Raises:
            PermissionError: the log may not be read.
        """
        try:
            while not stop.wait(self._step()):
                pass
        finally:
            self._tail.close()

    def _step(self) -> float:
        batch = self._tail.read()
        if not batch.lines:
            return POLL_S
        self._metrics.seen(filter(None, map(parse_line, batch.lines)), time.time())
        self._tail.accept(batch)
        return 0
