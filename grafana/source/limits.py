"""From where on a figure is too much, as a table: the numbers of the alert rules, coloured alike.

A test holds them to alerts/rules: what is red on a dashboard is what wakes somebody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

P0, P1, P2 = "p0", "p1", "p2"
COLOURS: Final = {P0: "red", P1: "orange", P2: "yellow"}
JUST_ABOVE_0: Final = 0.001
"""Grafana colours what reaches a step; rules that say `> 0` mean what passes it."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A number of a rule: beyond it `alert` fires."""

    alert: str
    level: str
    value: float
    below: bool = False
    """Whether less is worse."""
    fine: float = 0.0
    """With `below`: from here on it is as it should be."""

    @property
    def step(self) -> float:
        """Return the value at which the colour changes."""
        return self.value or JUST_ABOVE_0


_ROWS: Final = (
    Limit("Gateway504Ratio", P0, 0.05),
    Limit("GatewayTimeoutsFastBurn", P0, 14.4 * 0.005),
    Limit("ServerErrorsFastBurn", P0, 14.4 * 0.005),
    Limit("OldestInFlightRequest", P0, 30),
    Limit("EventLoopBlocked", P0, 5),
    Limit("EventLoopLag", P1, 0.25),
    Limit("ServiceDown", P0, 0.5, below=True, fine=1),
    Limit("InstanceDown", P1, 0, below=True, fine=1),
    Limit("ServiceCrashLoop", P0, 2),
    Limit("LatencyP99High", P1, 5),
    Limit("LatencyP95High", P2, 2),
    Limit("WorkerThreadsExhausted", P1, 0),
    Limit("DBPoolExhausted", P0, 0.95),
    Limit("DBPoolWait", P1, 1),
    Limit("DBPoolTimeouts", P1, 0),
    Limit("DBConnectionFailure", P0, 0),
    Limit("LongTransaction", P1, 30),
    Limit("RabbitMQDown", P0, 0, below=True, fine=1),
    Limit("RabbitMQBlocked", P0, 1),
    Limit("QueueBacklog", P1, 1000),
    Limit("OutboxBacklog", P1, 60),
    Limit("PublishConfirmSlow", P1, 1),
    Limit("CircuitBreakerOpen", P0, 2),
    Limit("LLMRateLimited", P1, 3),
    Limit("LLMFallbackUsed", P2, 0),
    Limit("AlertDeliveryFailing", P0, 60),
    Limit("AlertsGivenUp", P1, 0),
    Limit("TelemetryPipelineSilent", P1, 0, below=True, fine=JUST_ABOVE_0),
    Limit("ProbeErrors", P2, 0),
    Limit("WatchCannotSend", P1, 60),
    Limit("WatchDropsSpans", P2, 0),
    Limit("CollectorLosesSpans", P1, 0),
    Limit("CollectorQueueFilling", P1, 0.5),
    Limit("CollectorRefusesSpans", P2, 0),
    Limit("TempoDiscardsSpans", P1, 0),
)
LIMITS: Final = {row.alert: row for row in _ROWS}
