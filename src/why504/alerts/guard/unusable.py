"""The alert that fires when a room's webhook may not write any more: revoked, or its space gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from why504.alerts.alert import FIRING, NAME, RESOLVED, SEVERITY, Alert, fingerprint_of
from why504.alerts.kept.ledger import Ledger
from why504.alerts.rooms.reach import Reach
from why504.probe.clock import Clock

AFTER_S: Final = 600.0
"""Google answers 401 now and then for no reason."""
WEBHOOKS: Final = ("main", "canary")
_LOOK_S: Final = 5.0


class Unusable:
    """Raises it and takes it back; for one thread."""

    def __init__(self, ledger: Ledger, reaches: Mapping[str, Reach], clock: Clock) -> None:
        """Take what it needs.

        Args:
            reaches: by name, of `WEBHOOKS`; one that is not there is not used any more.
        """
        self._ledger = ledger
        self._reaches = reaches
        self._clock = clock

    def step(self) -> float:
        """Look at each webhook; return for how long to rest, s."""
        now_ns = self._clock.wall_ns()
        alerts = [one for name in WEBHOOKS if (one := self._news(name, now_ns))]
        if alerts:
            self._ledger.take(alerts, [], now_ns)
        return _LOOK_S

    def _news(self, name: str, now_ns: int) -> Alert | None:
        labels = {
            NAME: "WebhookUnusable", SEVERITY: "p0", "service_name": "alerting", "webhook": name,
        }  # fmt: skip
        reach = self._reaches.get(name)
        since_ns = self._ledger.incidents.burns_since_ns(fingerprint_of(labels))
        if since_ns is None:
            lasted_s = _forbidden_for_s(reach, self._clock.monotonic_s())
            begun_ns = now_ns - int(lasted_s * 1e9)
            return _alert(labels, begun_ns, None) if lasted_s > AFTER_S else None
        over = reach is None or reach.works
        return _alert(labels, since_ns, now_ns) if over else None


def _forbidden_for_s(reach: Reach | None, now_s: float) -> float:
    if reach is None or reach.forbidden_since_s is None:
        return 0.0
    return now_s - reach.forbidden_since_s


def _alert(labels: Mapping[str, str], since_ns: int, ends_ns: int | None) -> Alert:
    return Alert(
        labels=labels,
        status=FIRING if ends_ns is None else RESOLVED,
        starts_ns=since_ns,
        ends_ns=ends_ns,
        # Nobody repeats it: it ends when the webhook can be used again.
        expires_ns=2**62,
        annotations={
            "summary": f"Google Chat refuses the {labels['webhook']} webhook",
            "description": "It answers 401, 403 or 404 for ten minutes: the webhook was revoked or"
            " its space is gone. Make a new one and put its address into the setting.",
        },
        fingerprint=fingerprint_of(labels),
    )
