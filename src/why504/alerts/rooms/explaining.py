"""Finds out why each new P0 burns, and what it did, beside the delivery: no card waits long."""

from __future__ import annotations

import logging
from typing import Final

from why504.alerts.kept.ledger import Ledger
from why504.alerts.rooms.finding import Explainer
from why504.probe.clock import Clock

log = logging.getLogger(__name__)

AGAIN_S: Final = 15.0
"""Evidence grows: what nobody can say yet is asked again."""
WITHIN_S: Final = 600.0
"""What could not be explained by then is not explained."""
AFTERMATH_WITHIN_S: Final = 3600.0
"""What ended longer ago, nobody asks about any more."""
BEFORE_S: Final = 180.0
"""For so long requests may have hung before a rule fired."""
_LOOK_S: Final = 0.2


class Explaining:
    """Asks the explainer for every P0 incident that goes on; for one thread."""

    def __init__(self, ledger: Ledger, explainer: Explainer, clock: Clock) -> None:
        self._ledger = ledger
        self._explainer = explainer
        self._clock = clock
        self._asked_ns: dict[str, int] = {}
        self._closed: set[str] = set()

    def step(self) -> float:
        """Ask for whatever is due; return for how long to rest, s."""
        self._find_causes()
        self._find_aftermaths()
        return _LOOK_S

    def _find_causes(self) -> None:
        now_ns = self._clock.wall_ns()
        open_ = self._ledger.incidents.unexplained(now_ns - int(WITHIN_S * 1e9))
        self._asked_ns = {key: ns for key, ns in self._asked_ns.items() if key in open_}
        due = [
            key for key in open_
            if abs(now_ns - self._asked_ns.get(key, 0)) >= AGAIN_S * 1e9
        ]  # fmt: skip
        if not due:
            return
        self._asked_ns |= dict.fromkeys(due, now_ns)
        services = {key: self._ledger.incidents.known(key).service for key in due}
        for finding in self._explainer.explain():
            # Of several causes in one service the one with most victims is told: it comes first.
            theirs = [key for key, service in services.items() if service in finding.services]
            self._ledger.incidents.explain(theirs, finding, self._clock.wall_ns())

    def _find_aftermaths(self) -> None:
        since_ns = self._clock.wall_ns() - int(AFTERMATH_WITHIN_S * 1e9)
        over = self._ledger.incidents.over(since_ns)
        self._closed &= {one.key for one in over}
        for one in over:
            if one.key in self._closed:
                continue
            self._closed.add(one.key)
            begun_ns = one.opened_ns - int(BEFORE_S * 1e9)
            found = self._explainer.aftermath(one.service, begun_ns, one.ended_ns)
            if found and found.requests:
                self._ledger.incidents.close(one.key, found, self._clock.wall_ns())
