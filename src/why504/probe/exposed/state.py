"""What is true now, for people (`/debug/requests`) and for Prometheus (gauges and counters)."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace

from why504 import names
from why504.probe import site
from why504.probe.activity import Activity
from why504.probe.clock import Clock
from why504.probe.exposed.metrics import Metrics, labels_of
from why504.probe.inflight import OpenSpan, Registry
from why504.probe.loop.loopwatch import LoopWatch
from why504.probe.loop.stall import Watchdog
from why504.probe.pools.pool import PoolWatch
from why504.probe.pools.watchedpool import WatchedPool
from why504.probe.process.vitals import Kernel
from why504.probe.safety import Guard
from why504.probe.telling.openrecord import OpenRecord, RecordBook
from why504.probe.telling.rows import request_attributes, span_name

if TYPE_CHECKING:
    from prometheus_client.core import Metric


_THREADS: Final = {
    names.METRIC_THREADPOOL_USED: "Threads that run synchronous endpoints and dependencies now.",
    names.METRIC_THREADPOOL_MAX: "Threads that may do so at once.",
    names.METRIC_THREADPOOL_WAITING: "Tasks that wait for one of these threads.",
}


MOST_REQUESTS: Final = 1_000
"""Requests that are shown one by one, the oldest; nobody reads more, and each costs a stack."""


class Known:
    """What is open, by trace: looked through once, however many requests there are."""

    def __init__(self, registry: Registry, records: Sequence[OpenRecord]) -> None:
        self.spans: dict[int, list[OpenSpan]] = defaultdict(list)
        self.records: dict[int, list[OpenRecord]] = defaultdict(list)
        for span in registry.spans.copy().values():
            self.spans[span.trace_id].append(span)
        for record in records:
            self.records[record.trace_id].append(record)


@dataclass(frozen=True, slots=True)
class State:
    """Reads the parts of one probe; changes nothing."""

    registry: Registry
    book: RecordBook
    watchdog: Watchdog
    pools: Sequence[PoolWatch | WatchedPool]
    metrics: Metrics
    guard: Guard
    clock: Clock
    identity: Mapping[str, str]

    def debug(self) -> dict[str, Any]:
        """Return what `/debug/requests` shows; ages in seconds, `now` in Unix seconds."""
        activity = Activity(self.registry, self.watchdog.places())
        requests = self.registry.served()
        known = Known(self.registry, self._records())
        return {
            "now": self.clock.wall_ns() / 1e9,
            "pid": os.getpid(),
            **self.identity,
            "requests": [
                self._request(entry, activity, known) for entry in requests[:MOST_REQUESTS]
            ],
            "requests_not_listed": max(0, len(requests) - MOST_REQUESTS),
            "loops": [self._loop(watch) for watch in list(self.watchdog.loops.values())],
            "pools": [self._pool(pool, activity) for pool in self.pools],
            "dropped": self.registry.dropped + self.book.dropped,
        }

    def _request(self, entry: OpenSpan, activity: Activity, known: Known) -> dict[str, Any]:
        now_s = self.clock.monotonic_s()
        mine = known.records.get(entry.trace_id, [])
        waits = [record for record in mine if record.kind == names.WAIT]
        lines = activity.lines(entry.place, entry.trace_id)
        inner = [span for span in known.spans.get(entry.trace_id, ()) if span is not entry]
        return {
            "age_s": round(now_s - entry.opened_s, 3),
            "method": entry.method() if entry.is_request else names.WEBSOCKET,
            "route": entry.route(),
            "path": request_attributes(entry).get(names.URL_PATH, ""),
            "trace_id": trace.format_trace_id(entry.trace_id),
            "span_id": trace.format_span_id(entry.span_id),
            "state": self._state(entry, waits, inner),
            "waiting_on": waits[0].resource if waits else None,
            "holds": [r.resource for r in mine if r.kind == names.HOLD],
            "site": _site(lines),
            "stack": site.stack_text(lines).splitlines(),
        }

    def _state(
        self, entry: OpenSpan, waits: Sequence[OpenRecord], inner: Sequence[OpenSpan]
    ) -> str:
        now_s = self.clock.monotonic_s()
        if waits:
            return f"waiting for {waits[0].resource} {waits[0].lasted_s(now_s):.1f} s"
        for watch in list(self.watchdog.loops.values()):
            stall = watch.stall
            if stall is None:
                continue
            if stall.record.trace_id == entry.trace_id:
                return f"blocks the event loop {self.watchdog.age_s(watch):.1f} s"
            if entry.place.in_task and entry.place.thread_id == watch.thread_id:
                return f"blocked behind the event loop {self.watchdog.age_s(watch):.1f} s"
        if inner:
            last = max(inner, key=lambda span: span.opened_s)
            return f"{span_name(last)} {now_s - last.opened_s:.1f} s"
        return "running"

    def _loop(self, watch: LoopWatch) -> dict[str, Any]:
        stall = watch.stall
        told = {} if stall is None else stall.record.attributes
        return {
            "stalled_s": round(self.watchdog.age_s(watch), 3),
            "site": f"{told[names.CODE_FILE]}:{told[names.CODE_LINE]}"
            if names.CODE_FILE in told
            else None,
            "trace_id": None if stall is None else trace.format_trace_id(stall.record.trace_id),
            "stack": str(told.get(names.CODE_STACKTRACE, "")).splitlines(),
        }

    def _pool(self, pool: PoolWatch | WatchedPool, activity: Activity) -> dict[str, Any]:
        now_s = self.clock.monotonic_s()
        return {
            "name": pool.name,
            "capacity": pool.slots.capacity(),
            "in_use": len(pool.holds()),
            "waiting": pool.waiting(),
            "holders": [
                {
                    "age_s": round(hold.lasted_s(now_s), 3),
                    "trace_id": trace.format_trace_id(hold.trace_id),
                    "backend_pid": hold.attributes.get(names.BACKEND_PID),
                    "site": f"{hold.attributes.get(names.CODE_FILE)}"
                    f":{hold.attributes.get(names.CODE_LINE)}",
                    "now": _site(activity.lines(hold.place, hold.trace_id)),
                }
                for hold in pool.holds()
            ],
        }

    def _records(self) -> list[OpenRecord]:
        return list(self.book.open_records.copy().values())


class StateCollector:
    """What Prometheus reads at each scrape; every series exists from the first one."""

    def __init__(self, state: State) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        """Yield the metric families."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        state = self._state
        yield from self._requests()
        yield from self._pools()
        yield from self._threads()
        ages = [state.watchdog.age_s(watch) for watch in list(state.watchdog.loops.values())]
        yield GaugeMetricFamily(
            names.METRIC_LOOP_STALL_AGE_S,
            "Seconds for which the event loop has not turned; 0 while it turns.",
            value=max(ages, default=0.0),
        )
        taken = [watch.late_share for watch in list(state.watchdog.loops.values())]
        yield GaugeMetricFamily(
            names.METRIC_LOOP_TAKEN,
            "Share of its heartbeats that the event loop ran late in the last 3 s.",
            value=max(taken, default=0.0),
        )
        yield GaugeMetricFamily(
            names.METRIC_MEMORY_LIMIT,
            "What the process may use.",
            value=Kernel().memory_limit_bytes(),
        )
        yield CounterMetricFamily(
            names.METRIC_LOOP_STALLS, "Stalls of an event loop.", value=state.watchdog.stalls
        )
        yield CounterMetricFamily(
            names.METRIC_INFLIGHT_DROPPED,
            "Open spans and records not kept: too many at once.",
            value=state.registry.dropped + state.book.dropped,
        )
        errors = CounterMetricFamily(
            names.METRIC_PROBE_ERRORS, "Errors inside the probe, swallowed.", labels=["site"]
        )
        for where, count in list(state.guard.errors.items()):
            errors.add_metric([where], count)
        yield errors

    def _requests(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        state = self._state
        now_s = state.clock.monotonic_s()
        open_requests = state.registry.requests()
        counts = dict.fromkeys(list(state.metrics.route_seen), 0)
        for entry in open_requests:
            counts[labels_of(entry)] = counts.get(labels_of(entry), 0) + 1
        active = GaugeMetricFamily(
            names.METRIC_INFLIGHT, "Requests in flight.", labels=["method", "route"]
        )
        for labels, count in counts.items():
            active.add_metric(list(labels), count)
        yield active
        yield GaugeMetricFamily(
            names.METRIC_INFLIGHT_OLDEST_S,
            "Age of the oldest request in flight; 0 without any.",
            value=max((now_s - entry.opened_s for entry in open_requests), default=0.0),
        )

    def _pools(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        count = GaugeMetricFamily(
            names.METRIC_POOL_COUNT, "Connections of the pool.", labels=["pool", "state"]
        )
        most = GaugeMetricFamily(
            names.METRIC_POOL_MAX, "Connections the pool may give out.", labels=["pool"]
        )
        pending = GaugeMetricFamily(
            names.METRIC_POOL_PENDING, "Waiting for a connection.", labels=["pool"]
        )
        timeouts = CounterMetricFamily(
            names.METRIC_POOL_TIMEOUTS, "Gave up waiting for a connection.", labels=["pool"]
        )
        errors = CounterMetricFamily(
            names.METRIC_POOL_ERRORS, "Connections that could not be opened.", labels=["pool"]
        )
        oldest = GaugeMetricFamily(
            names.METRIC_POOL_OLDEST_USE_S,
            "For how long the connection that was taken first has been used.",
            labels=["pool"],
        )
        now_s = self._state.clock.monotonic_s()
        for pool in self._state.pools:
            holds = pool.holds()
            count.add_metric([pool.name, "used"], len(holds))
            count.add_metric([pool.name, "idle"], pool.idle())
            capacity = pool.slots.capacity()
            if capacity is not None:
                most.add_metric([pool.name], capacity)
            pending.add_metric([pool.name], pool.waiting())
            timeouts.add_metric([pool.name], pool.timeouts)
            errors.add_metric([pool.name], pool.errors)
            # Said while it is used: a transaction that never ends has no duration.
            oldest.add_metric([pool.name], holds[0].lasted_s(now_s) if holds else 0.0)
        yield from (count, most, pending, timeouts, errors, oldest)

    def _threads(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        loops = list(self._state.watchdog.loops.values())
        sums = [sum(each) for each in zip(*(w.threadpool.tokens() for w in loops), strict=True)]
        for (name, brief), value in zip(_THREADS.items(), sums or (0, 0, 0), strict=True):
            yield GaugeMetricFamily(name, brief, value=value)


def _site(lines: Sequence[site.CodeLine]) -> str | None:
    line = site.user_line(lines)
    return None if line is None else f"{site.display_path(line.file)}:{line.line}"
