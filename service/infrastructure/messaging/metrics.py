"""Metrics of relay and worker: messages, connections, queues and the outbox.

Names follow OpenTelemetry's messaging conventions where they have one:
https://opentelemetry.io/docs/specs/semconv/messaging/messaging-metrics/
"""

from __future__ import annotations

import math
import time
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LONG_BUCKETS_S: Final = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0, 600.0, 3600.0)
SENT: Final = ("confirmed", "nacked", "returned", "unconfirmed")
PROCESSED: Final = ("done", "duplicate", "set_aside", "requeued")


class ConnectionMetrics:
    """Whether the broker is there, and whether it takes messages."""

    def __init__(self, registry: CollectorRegistry, *, role: str) -> None:
        # One registry has the connections of several roles: `publisher`, `consumer`.
        self.connected = Gauge(
            f"messaging_{role}_connected",
            "1 while the broker is connected; NaN where nobody tries to.",
            registry=registry,
        )
        # 0 would wake somebody for a worker that has no broker.
        self.connected.set(math.nan)
        self.blocked = Gauge(
            f"messaging_{role}_blocked",
            "1 from connection.blocked until the broker is known to take messages again.",
            registry=registry,
        )


class PublisherMetrics:
    """What became of the messages that were sent."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.connection = ConnectionMetrics(registry, role="publisher")
        self.confirm_s = Histogram(
            "messaging_client_operation_duration_seconds",
            "From handing a message to the broker until its confirm.",
            ["messaging_operation_name"],
            buckets=BUCKETS_S,
            registry=registry,
        ).labels("publish")
        self._sent = Counter(
            "messaging_client_sent_messages",
            "Messages handed to the broker, by what it said.",
            ["outcome"],
            registry=registry,
        )
        for outcome in SENT:
            self._sent.labels(outcome)

    def sent(self, outcome: str, count: int = 1) -> None:
        """Count messages under one of SENT."""
        self._sent.labels(outcome).inc(count)


class BacklogMetrics:
    """What waits: in the outbox, in the queue, among the dead letters. Each with its age."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._pending = Gauge(
            "service_outbox_pending_messages", "Messages not sent yet.", registry=registry
        )
        self._oldest_s = Gauge(
            "service_outbox_oldest_age_seconds", "Age of the oldest of them.", registry=registry
        )
        self._depth = Gauge(
            "messaging_queue_messages",
            "Messages that wait in a queue of the broker.",
            ["messaging_destination_name"],
            registry=registry,
        )
        age = Gauge(
            "service_backlog_sample_age_seconds",
            "How old these figures are: they stand still while their source does not answer.",
            ["source"],
            registry=registry,
        )
        born_s = time.monotonic()
        self._sampled_s = dict.fromkeys(("outbox", "queue"), born_s)
        for source in self._sampled_s:
            age.labels(source).set_function(partial(self._age_s, source))

    def _age_s(self, source: str) -> float:
        return time.monotonic() - self._sampled_s[source]

    def outbox(self, pending: int, oldest_s: float) -> None:
        """Tell how much is unsent and for how long."""
        self._pending.set(pending)
        self._oldest_s.set(oldest_s)
        self._sampled_s["outbox"] = time.monotonic()

    def queue(self, name: str, messages: int) -> None:
        """Tell how many messages a queue holds."""
        self._depth.labels(name).set(messages)
        self._sampled_s["queue"] = time.monotonic()


class ConsumerMetrics:
    """What the worker did with its messages."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.connection = ConnectionMetrics(registry, role="consumer")
        self.publisher = PublisherMetrics(registry)
        self.redelivered = Counter(
            "messaging_client_redelivered_messages",
            "Messages that came again.",
            registry=registry,
        )
        self.lag_s = Histogram(
            "messaging_consumer_lag_seconds",
            "Age of a message when it reaches the worker.",
            buckets=LONG_BUCKETS_S,
            registry=registry,
        )
        self.process_s = Histogram(
            "messaging_process_duration_seconds",
            "From taking a message until it is settled.",
            buckets=LONG_BUCKETS_S,
            registry=registry,
        )
        self.retries = Counter(
            "messaging_process_retries",
            "Attempts that ended because something was unavailable; the message was kept.",
            registry=registry,
        )
        self.under_way = Gauge(
            "messaging_process_active", "Messages being processed.", registry=registry
        )
        self._processed = Counter(
            "messaging_client_consumed_messages",
            "Messages settled, by how.",
            ["outcome"],
            registry=registry,
        )
        for outcome in PROCESSED:
            self._processed.labels(outcome)

    def processed(self, outcome: str) -> None:
        """Count a message under one of PROCESSED."""
        self._processed.labels(outcome).inc()
