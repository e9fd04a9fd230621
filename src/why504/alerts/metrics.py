"""What the router tells of itself: what it took, delivered, and still has to deliver."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Info
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from why504.alerts.alert import Level
from why504.alerts.intake import Taken
from why504.alerts.kept.causes import UNKNOWN
from why504.alerts.kept.ledger import Ledger
from why504.alerts.kept.message import ESCALATION, ROOMS
from why504.probe.clock import Clock

_TOLD: Final = (Level.P0, Level.P1, Level.P2)
CAUSES: Final = (
    "A1a", "A1b", "A1c", "A2a", "A2b", "A2c", "A3", "B1", "B2", "B3", "C1", "C2", "D1", "E1",
    "F1", "G1", "G2", UNKNOWN,
)  # fmt: skip
"""Rows of the taxonomy, as diagnose/causes.py has them: the router does without the engine."""


class Taking:
    """Counts what comes in; every label is there at 0 from the start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._alerts = Counter(
            "why504_alerts_taken", "Alerts that were made durable.", ["level"], registry=registry
        )
        self._requests = Counter(
            "why504_alerts_requests_failed", "Requests not taken.", ["reason"], registry=registry
        )
        self._unreadable = Counter(
            "why504_alerts_unreadable", "Alerts that could not be read.", registry=registry
        )
        for level in Level:
            self._alerts.labels(level.name.lower())
        for reason in ("refused", "unavailable"):
            self._requests.labels(reason)

    def took(self, taken: Taken) -> None:
        """Count what a request told."""
        for alert in taken.alerts:
            self._alerts.labels(alert.level.name.lower()).inc()
        self._unreadable.inc(len(taken.unreadable))

    def refused(self) -> None:
        """Count a request that holds no alerts."""
        self._requests.labels("refused").inc()

    def unavailable(self) -> None:
        """Count a request that could not be made durable."""
        self._requests.labels("unavailable").inc()


def lead_to_explorer(registry: CollectorRegistry, url: str) -> None:
    """Tell dashboards where the incident explorer is, as cards tell people."""
    info = Info("why504_alerts_explorer", "Where the incident explorer is.", registry=registry)
    info.info({"url": url})


class Guarding:
    """Counts what proves that alerting works; every label is there at 0 from the start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._pings = Counter(
            "why504_alerts_pings", "Pings of the watcher outside.", ["result"], registry=registry
        )
        self._canary = Counter(
            "why504_alerts_canary_messages", "Messages of the canary.", ["result"],
            registry=registry,
        )  # fmt: skip
        for result in ("ok", "failed", "withheld"):
            self._pings.labels(result)
        for result in ("ok", "failed"):
            self._canary.labels(result)

    def pinged(self, result: str) -> None:
        """Count a ping that was heard (`ok`), was not (`failed`), or was `withheld`."""
        self._pings.labels(result).inc()

    def canary(self, result: str) -> None:
        """Count a message that arrived (`ok`), or did not (`failed`)."""
        self._canary.labels(result).inc()


class Ticketed:
    """Counts what became of tickets; every label is there at 0 from the start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._tickets = Counter(
            "why504_alerts_tickets", "Tickets by what happened.", ["result"], registry=registry
        )
        for result in ("opened", "commented", "failed", "dead"):
            self._tickets.labels(result)

    def opened(self) -> None:
        """Count a ticket that is in the tracker."""
        self._tickets.labels("opened").inc()

    def commented(self) -> None:
        """Count a comment that is on its ticket."""
        self._tickets.labels("commented").inc()

    def failed(self) -> None:
        """Count an attempt that will be repeated."""
        self._tickets.labels("failed").inc()

    def dead(self) -> None:
        """Count a ticket that nothing more is told to."""
        self._tickets.labels("dead").inc()


class Delivering(Collector):
    """What the ledger holds, read whenever somebody looks."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges and counters."""
        backlog = self._ledger.backlog(self._clock.wall_ns())
        number = GaugeMetricFamily(
            "why504_alerts_undelivered", "Changes that are not in the room.", labels=["level"]
        )
        oldest = GaugeMetricFamily(
            "why504_alerts_oldest_undelivered_age_seconds", "Age of the oldest.", labels=["level"]
        )
        for level in _TOLD:
            told = backlog.get(level)
            number.add_metric([level.name.lower()], told.changes if told else 0)
            oldest.add_metric([level.name.lower()], told.oldest_s if told else 0.0)
        messages = GaugeMetricFamily(
            "why504_alerts_messages", "Messages by what became of them.", labels=["state", "room"]
        )
        for room in ROOMS:
            for state, count in self._ledger.states(room).items():
                messages.add_metric([state, room], count)
        yield from (number, oldest, messages, *self._answers(), *self._why())

    def _why(self) -> Iterator[Metric]:
        # `service_name` is a label of the scrape target: the router's own.
        labels = ["service", "cause"]
        burning = GaugeMetricFamily(
            "why504_alerts_burning_incidents", "P0 incidents that burn, by cause.", labels=labels
        )
        for told, count in self._ledger.causes.burning().items():
            burning.add_metric(told, count)
        timed_out = CounterMetricFamily(
            "why504_alerts_timed_out_requests",
            "Requests that timed out in P0 incidents that are over, by cause.",
            labels=labels,
        )
        counts = self._ledger.causes.timed_out()
        for service in self._ledger.causes.services():
            for cause in CAUSES:
                timed_out.add_metric([service, cause], counts.get((service, cause), 0))
        yield from (burning, timed_out)

    def _answers(self) -> Iterator[Metric]:
        yield CounterMetricFamily(
            "why504_alerts_acknowledgements", "Incidents that somebody acknowledged.",
            value=self._ledger.acknowledgements.count(),
        )  # fmt: skip
        yield CounterMetricFamily(
            "why504_alerts_escalations", "Incidents that nobody acknowledged in time.",
            value=self._ledger.notices.count(ESCALATION),
        )  # fmt: skip
