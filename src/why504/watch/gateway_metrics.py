"""What the gateway answered, as metrics: in a total hang nobody else counts a request.

The application's own metrics are of requests that ended, and a request that hangs does not end.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from why504 import names
from why504.watch.accesslog import GatewayLine

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
