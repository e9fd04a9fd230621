"""Tells a watcher outside that alerting works, and only while it does: silence is its alarm."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from why504.alerts.alert import Level
from why504.alerts.guard.ping import Watcher
from why504.alerts.kept.ledger import Ledger
from why504.alerts.metrics import Guarding
from why504.alerts.rooms.reach import Reach
from why504.errors import PingFailed
from why504.probe.clock import Clock

log = logging.getLogger(__name__)

EVERY_S: Final = 60.0
LATE_S: Final = 60.0


class Pinging:
    """What is looked at before each ping; for one thread."""

    def __init__(
        self,
        ledger: Ledger,
        watcher: Watcher,
        reaches: Sequence[Reach],
        counts: Guarding,
        clock: Clock,
    ) -> None:
        """Take what it needs.

        Args:
            reaches: of the first room, and of the canary's if there is one.
        """
        self._ledger = ledger
        self._watcher = watcher
        self._reaches = reaches
        self._counts = counts
        self._clock = clock

    def step(self) -> float:
        """Ping if nothing speaks against it; return for how long to rest, s."""
        if reason := self.withheld():
            log.warning("the watcher outside is not pinged: %s", reason)
            self._counts.pinged("withheld")
            return EVERY_S
        try:
            self._watcher.ping()
        except PingFailed as error:
            log.warning("the watcher outside does not hear us: %s", error)
            self._counts.pinged("failed")
        else:
            self._counts.pinged("ok")
        return EVERY_S

    def withheld(self) -> str:
        """Return what does not work, for people; empty if everything does, as far as is known."""
        now_ns = self._clock.wall_ns()
        if not self._ledger.keeping.works:
            return self._ledger.keeping.failure
        if not self._ledger.beats(now_ns):
            return "the heartbeat (Watchdog) is not heard"
        backlog = self._ledger.backlog(now_ns)
        late = [
            level for level in (Level.P0, Level.P1)
            if level in backlog and backlog[level].oldest_s > LATE_S
        ]  # fmt: skip
        if late:
            return f"a {late[0].name} is not in the room for {backlog[late[0]].oldest_s:.0f} s"
        tried = [one for one in self._reaches if one.tried_s is not None]
        return max(tried, key=lambda one: one.tried_s or 0.0).failure if tried else ""
