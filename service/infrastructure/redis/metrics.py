"""What the rate limit did, and whether the instances count together."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter


class RateMetrics:
    """Counters of one process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._counted = Counter(
            "service_rate_limit_requests",
            "Requests counted, by where: in `redis` with the other instances, or by the `process`.",
            ["store"],
            registry=registry,
        )
        self._refused = Counter(
            "service_rate_limit_refused", "Requests answered 429.", registry=registry
        )
        self._failures = Counter(
            "service_rate_limit_redis_failures",
            "Times Redis did not count in time and was left alone for a while.",
            registry=registry,
        )
        for store in ("redis", "process"):
            self._counted.labels(store)

    def counted(self, *, shared: bool) -> None:
        """Note one request that was counted."""
        self._counted.labels("redis" if shared else "process").inc()

    def refused(self) -> None:
        """Note one request that was answered 429."""
        self._refused.inc()

    def failed(self) -> None:
        """Note that Redis is left alone."""
        self._failures.inc()
