"""The alert that always fires (Watchdog), and the one that fires when that stops.

As long as it comes, Prometheus evaluates, Alertmanager sends, and we take. Whoever never had one
is not told that it is missing.
"""

from __future__ import annotations

from typing import Final

from why504.alerts.alert import FIRING, NAME, RESOLVED, SEVERITY, Alert, fingerprint_of

WITHIN_NS: Final = 200 * 10**9
"""Alertmanager repeats it each minute; three that are missing are no accident."""
GRACE_S: Final = 240.0
"""After a start: the router itself was away, and hears of it again within that time."""
_LABELS: Final = {NAME: "AlertingSilent", SEVERITY: "p0", "service_name": "alerting"}
FINGERPRINT: Final = fingerprint_of(_LABELS)


def missing(since_ns: int) -> Alert:
    """Return the alert that tells that nothing was heard since."""
    return Alert(
        labels=_LABELS,
        status=FIRING,
        starts_ns=since_ns,
        # Nobody repeats it: it ends when the heartbeat is back.
        expires_ns=2**62,
        annotations={
            "summary": "Prometheus or Alertmanager tells nothing any more",
            "description": "The heartbeat (Watchdog) stopped: what happens now raises no alert.",
        },
        fingerprint=FINGERPRINT,
    )


def back(since_ns: int, now_ns: int) -> Alert:
    """Return the end of the alert that began then."""
    begun = missing(since_ns)
    return Alert(
        labels=begun.labels, status=RESOLVED, starts_ns=since_ns, ends_ns=now_ns,
        annotations=begun.annotations, fingerprint=FINGERPRINT,
    )  # fmt: skip
