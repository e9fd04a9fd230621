"""A breaker's state as metrics, so that an open one can wake somebody."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from service.infrastructure.breaker import BreakerState


class BreakerMetrics:
    """`<prefix>_breaker_state` (0 closed, 1 half-open, 2 open) and its transitions, a provider."""

    def __init__(self, registry: CollectorRegistry, *, prefix: str, provider: str) -> None:
        state = Gauge(
            f"{prefix}_breaker_state",
            "Circuit breaker of a provider: 0 closed, 1 half-open, 2 open.",
            ["provider"],
            registry=registry,
        )
        transitions = Counter(
            f"{prefix}_breaker_transitions",
            "Changes of a circuit breaker, by the state that it took.",
            ["provider", "state"],
            registry=registry,
        )
        self._state = state.labels(provider)
        self._transitions = {
            each: transitions.labels(provider, each.name.lower()) for each in BreakerState
        }

    def changed(self, state: BreakerState) -> None:
        """Show a breaker's new state."""
        self._state.set(state)
        self._transitions[state].inc()
