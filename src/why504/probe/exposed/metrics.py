"""What the probe counts and measures; exposed by `serve.py`, never from the event loop.

Labels are bounded: methods are those of HTTP, routes are templates, pools are named by the user.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from why504 import names
from why504.probe.exposed.histogram import Histogram, Series
from why504.probe.inflight import OpenSpan

if TYPE_CHECKING:
    from prometheus_client.core import Metric
    from prometheus_client.registry import Collector

_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Histograms of one probe, in a registry of their own."""

    def __init__(self) -> None:
        # Imported here: only a process that is instrumented needs the client.
        from prometheus_client import CollectorRegistry, ProcessCollector
        from prometheus_client.gc_collector import GCCollector

        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.route_seen: set[tuple[str, str]] = set()
        self._requests = self._histogram(
            names.METRIC_REQUEST_S,
            "Duration of HTTP requests that ended.",
            ("method", "route", "status"),
        )
        self._pool_wait = self._histogram(
            names.METRIC_POOL_WAIT_S,
            "Time spent waiting for a connection of a pool that had none left.",
            ("pool",),
        )
        self._pool_use = self._histogram(
            names.METRIC_POOL_USE_S,
            "Time between taking a connection and giving it back.",
            ("pool",),
        )
        self.loop_lag = self._histogram(
            names.METRIC_LOOP_LAG_S, "How late the event loop ran its heartbeat.", ()
        ).labels()

    def _histogram(self, name: str, says: str, labels: tuple[str, ...]) -> Histogram:
        histogram = Histogram(name, says, labels, _SECONDS)
        self.registry.register(histogram)
        return histogram

    def of_pool(self, pool: str) -> tuple[Series, Series]:
        """Return what measures a pool: seconds waited for a connection, however that ended, and
        seconds for which one was used. They exist from the start: rates see the first event.
        """
        return self._pool_wait.labels(pool), self._pool_use.labels(pool)

    def request_ended(self, entry: OpenSpan, route: str, status: int, seconds: float) -> None:
        """Measure one request; no `route` = none was found, `status` 0 = nothing was answered."""
        method, route = _known(entry.method()), route or _UNMATCHED
        self.route_seen.add((method, route))
        series = self._requests.labels(method, route, str(status) if status else "none")
        series.observe(seconds, entry.trace_id)

    def requests_ended(self) -> int:
        """Return how many requests ended so far."""
        return sum(
            int(sample.value)
            for family in self._requests.collect()
            for sample in family.samples
            if sample.name.endswith("_count")
        )


class Theirs:
    """The application's own metrics: what it named, else prometheus_client's default."""

    def __init__(self) -> None:
        self._named: list[Collector] = []

    def add(self, registry: Collector | None) -> None:
        """Take the metrics of one more part of the application; None = it named none."""
        if registry is not None:
            self._named.append(registry)

    def collect(self) -> Iterator[Metric]:
        """Yield each family."""
        from prometheus_client import REGISTRY

        for registry in self._named or [REGISTRY]:
            yield from registry.collect()


class Together:
    """The probe's metrics and the application's in one answer; where both have a name, ours."""

    def __init__(self, ours: Collector, theirs: Collector) -> None:
        self._registries = (ours, theirs)

    def collect(self) -> Iterator[Metric]:
        """Yield each family once: a second of the same name would spoil the whole answer."""
        told: set[str] = set()
        for registry in self._registries:
            for family in registry.collect():
                if family.name not in told:
                    told.add(family.name)
                    yield family


def labels_of(entry: OpenSpan) -> tuple[str, str]:
    """Return method and route, both from bounded sets."""
    return _known(entry.method()), entry.route() or _UNMATCHED


def _known(method: str) -> str:
    return method if method in _METHODS else "_OTHER"


_UNMATCHED: Final = "unmatched"
