"""What Prometheus is asked: one row a kind of track.

Gauges and counters only. Mean and p99 of a service that hangs are NaN, for nothing ends: they are
not asked for. No query joins two metrics of different processes, so that what one process lacks
never hides another's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from why504 import measured, names

WHO: Final = "service_name, job, instance"
"""Labels that tell processes apart."""
_PROCESS: Final = "process_start_time_seconds"
_CPU: Final = "process_cpu_seconds_total"
_MEMORY: Final = "process_resident_memory_bytes"
_BRIDGE_S: Final = 30
"""A process whose metrics could not be read for a moment is not forgotten at once."""


def _of_nothing(labels: Mapping[str, str]) -> str:
    del labels
    return ""


def _of_pool(labels: Mapping[str, str]) -> str:
    return names.pool(labels.get("pool", ""))


def _of_threads(labels: Mapping[str, str]) -> str:
    del labels
    return names.THREADPOOL


def _of_queue(labels: Mapping[str, str]) -> str:
    queue, vhost = labels.get("queue", ""), labels.get("vhost", "")
    # RabbitMQ's own page adds all queues up, unless it is asked for its detailed one.
    return f"{queue} of {vhost}" if vhost else queue or "all queues"


class Row(NamedTuple):
    """One kind of track, and the query that gives it."""

    kind: str
    metric: str
    name_of: Callable[[Mapping[str, str]], str] = _of_nothing
    """Of what a series tells, by its labels."""
    labels: str = ""
    """Label matchers, besides those of the settings."""
    by: str = WHO
    """Labels that are kept; what differs in others is summed."""
    now: bool = True
    """Whether this moment is asked for, too."""
    only_probed: bool = False
    """Whether only processes with a probe count: every exporter has this metric."""

    def selector(self, match: str) -> str:
        """Return the metric with label matchers."""
        told = ", ".join(filter(None, [self.labels, match]))
        return f"{self.metric}{{{told}}}"


TIMEOUTS: Final = Row(
    measured.TIMEOUTS, f"{names.METRIC_GATEWAY_REQUEST_S}_count", labels='status="504"'
)
GAUGES: Final = (
    Row(measured.OPEN, names.METRIC_INFLIGHT),
    Row(measured.OLDEST_S, names.METRIC_INFLIGHT_OLDEST_S, now=False),
    Row(measured.STALL_S, names.METRIC_LOOP_STALL_AGE_S),
    Row(measured.IN_USE, names.METRIC_POOL_COUNT, _of_pool, 'state="used"', f"{WHO}, pool"),
    Row(measured.CAPACITY, names.METRIC_POOL_MAX, _of_pool, by=f"{WHO}, pool"),
    Row(measured.WAITING, names.METRIC_POOL_PENDING, _of_pool, by=f"{WHO}, pool"),
    Row(measured.IN_USE, names.METRIC_THREADPOOL_USED, _of_threads),
    Row(measured.CAPACITY, names.METRIC_THREADPOOL_MAX, _of_threads),
    Row(measured.WAITING, names.METRIC_THREADPOOL_WAITING, _of_threads),
    Row(measured.QUEUED, "rabbitmq_detailed_queue_messages_ready", _of_queue, by="queue, vhost"),
    Row(measured.QUEUED, "rabbitmq_queue_messages_ready", _of_queue, by="queue, vhost"),
    Row(measured.MEMORY, _MEMORY, now=False, only_probed=True),
    Row(measured.MEMORY_LIMIT, names.METRIC_MEMORY_LIMIT, now=False),
    Row(measured.STARTED_S, _PROCESS, now=False, only_probed=True),
)
SCRAPED: Final = Row(measured.OLDEST_S, names.METRIC_INFLIGHT_OLDEST_S)
"""For this moment it is asked for as it was scraped: that says when, too."""
CORES: Final = Row(measured.CORES, _CPU, now=False, only_probed=True)


def over_time(row: Row, match: str, step_s: float) -> str:
    """Return the query of a gauge's highest values, each of one step."""
    return _summed(row, f"max_over_time({row.selector(match)}[{_length(step_s)}])", match)


def rate(row: Row, match: str, step_s: float) -> str:
    """Return the query of how much a counter grew a second."""
    return _summed(row, f"rate({row.selector(match)}[{_length(2 * step_s)}])", match)


def counter(row: Row, match: str) -> str:
    """Return the query of a counter as it stood: each process by itself, since each begins at 0."""
    return f"sum by ({row.by}) ({row.selector(match)})"


def this_moment(row: Row, match: str) -> str:
    """Return the query of a gauge as it was told last."""
    if row is SCRAPED:
        return f"{row.selector(match)}[{_BRIDGE_S}s]"
    return _summed(row, f"last_over_time({row.selector(match)}[{_BRIDGE_S}s])", match)


def _summed(row: Row, inner: str, match: str) -> str:
    if row.only_probed:
        probed = f"{names.METRIC_INFLIGHT_OLDEST_S}{{{match}}}"
        inner = f"{inner} and on (job, instance) last_over_time({probed}[5m])"
    most = f"topk(10, sum by ({row.by}) ({inner}))"
    return most if row.kind == measured.QUEUED else f"sum by ({row.by}) ({inner})"


def _length(seconds: float) -> str:
    return f"{max(1, round(seconds * 1000))}ms"
