"""One alert as it was told to us, and what is read from its labels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final


class Level(IntEnum):
    """How urgent; the lower the sooner."""

    P0 = 0
    """Somebody is woken up: a card at once, on-call mentioned."""
    P1 = 1
    """A card, and somebody looks at it today."""
    P2 = 2
    """Counted, and told in one digest an hour."""
    HEARTBEAT = 3
    """Fires always; says only that alerting works. Never told."""


FIRING: Final = "firing"
RESOLVED: Final = "resolved"
SEVERITY: Final = "severity"
NAME: Final = "alertname"

_LEVELS: Final[Mapping[str, Level]] = {
    "p0": Level.P0, "critical": Level.P0, "page": Level.P0,
    "p1": Level.P1, "error": Level.P1, "warning": Level.P1, "ticket": Level.P1,
    "p2": Level.P2, "info": Level.P2,
    "none": Level.HEARTBEAT,
}  # fmt: skip
MARK: Final = 16
"""Characters of a fingerprint at most; Alertmanager's have as many."""
_SERVICES: Final = ("service_name", "service", "job")
"""Labels that tell whose alert it is; the first that is there counts."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert in one state. Two of the same `identity` are the same, told twice."""

    labels: Mapping[str, str]
    status: str
    """`firing` or `resolved`."""
    starts_ns: int
    """Unix nanoseconds, as are all times here; 0 is not told: since it was told first."""
    ends_ns: int | None = None
    expires_ns: int | None = None
    """When it is over unless it is told again; None leaves that to the ledger."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    generator_url: str = ""
    """Where the expression can be seen; somebody else's word, never followed."""
    fingerprint: str = ""
    """Of the labels; the same whenever this alert fires."""

    @property
    def identity(self) -> tuple[str, int]:
        """Return what is the same for all tellings of one firing, and for nothing else."""
        return self.fingerprint, self.starts_ns

    @property
    def name(self) -> str:
        """Return the rule that fired."""
        return self.labels.get(NAME, "unnamed alert")

    @property
    def service(self) -> str:
        """Return whose alert it is; empty where no label tells."""
        return next((self.labels[key] for key in _SERVICES if self.labels.get(key)), "")

    @property
    def level(self) -> Level:
        """Return how urgent it is. A severity that is unknown is a P1: too much beats nothing."""
        return _LEVELS.get(self.labels.get(SEVERITY, "").strip().lower(), Level.P1)


def fingerprint_of(labels: Mapping[str, str]) -> str:
    """Return a fingerprint for an alert that came without one: 16 hex digits."""
    told = "\x00".join(f"{key}\x01{labels[key]}" for key in sorted(labels))
    return hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()[:MARK]


def as_json(alert: Alert) -> str:
    """Return an alert as it is stored; `Alert(**json.loads(...))` reads it."""
    # dataclasses.asdict copies every label twice: that was half of what taking an alert cost.
    told: dict[str, Any] = {name: getattr(alert, name) for name in Alert.__slots__}
    return json.dumps(told)
