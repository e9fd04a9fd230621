"""Whether alerts can be made durable, by what the disk did last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from why504.alerts.alert import FIRING, Alert, Level

_MOST: Final = 20


class Keeping:
    """What whoever takes alerts notes, and others read; in memory, since the disk may be full."""

    def __init__(self) -> None:
        self.works = True
        """Whether the last alerts were kept."""
        self.failures = 0
        """How often others were not, since the start."""
        self.failure = ""
        """Why, the last time, for people."""
        self.urgent: tuple[str, ...] = ()
        """P0 alerts that were not kept, since others were: strangers' text, not all if many."""

    def succeeded(self) -> None:
        """Note that alerts were kept."""
        if not self.works:
            self.urgent = ()
        self.works = True

    def failed(self, reason: str, alerts: Sequence[Alert]) -> None:
        """Note that alerts were not."""
        named = [
            f"{one.name} {one.service}".strip() for one in alerts
            if one.level is Level.P0 and one.status == FIRING
        ]  # fmt: skip
        self.urgent = tuple(dict.fromkeys([*self.urgent, *named]))[:_MOST]
        self.works = False
        self.failures += 1
        self.failure = reason
