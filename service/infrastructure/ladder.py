"""The service's own timeouts as `why504 doctor` is told them; its engine tells those of its pool.

Only what is in force: a peer that is not configured has no rung.
"""

from __future__ import annotations

from service.application.settings import Settings
from service.infrastructure.messaging.parameters import connection_parameters


def limits_in_force(settings: Settings) -> dict[str, object]:
    """Return limits by the names of docs/doctor.md: seconds, None, or the object that has them."""
    limits = settings.limits
    told: dict[str, object] = {
        "application": limits.application_s,
        "analysis": limits.analysis_s,
        "llm": limits.llm_s,
        "connect": limits.checkout_s,
        "statement": limits.statement_s,
        "lock": limits.lock_s,
        "idle_in_transaction": limits.idle_in_transaction_s,
        "health": limits.health_s,
    }
    if settings.mem0_api_key is not None:
        told["memory"] = limits.memory_s
    if settings.redis_url is not None:
        told["redis"] = limits.redis_s
    if settings.broker_url is not None:
        told["broker"] = connection_parameters(settings)
    return told
