"""What the receiver counts of itself; every label is there at 0 from the start."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter

from why504 import names
from why504.errors import NotOtlp, StoreUnavailable, TooLarge

_REASONS: Final = {NotOtlp: "invalid", TooLarge: "too_large", StoreUnavailable: "unavailable"}


class Received:
    """Spans that came, and requests that were not taken."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._spans = _counter(names.METRIC_RECEIVED_SPANS, "Spans made durable.", registry)
        self._rejected = _counter(
            names.METRIC_RECEIVER_REJECTED, "Spans that are no valid spans.", registry
        )
        failed = Counter(
            names.METRIC_RECEIVER_FAILED.removesuffix("_total"),
            "Requests not taken.",
            ["reason"],
            registry=registry,
        )
        self._failed = {kind: failed.labels(reason) for kind, reason in _REASONS.items()}

    def took(self, spans: int, rejected: int) -> None:
        """Count a request that was taken."""
        self._spans.inc(spans)
        self._rejected.inc(rejected)

    def refused(self, error: NotOtlp | TooLarge | StoreUnavailable) -> None:
        """Count a request that was not."""
        self._failed[type(error)].inc()


def _counter(name: str, brief: str, registry: CollectorRegistry) -> Counter:
    return Counter(name.removesuffix("_total"), brief, registry=registry)
