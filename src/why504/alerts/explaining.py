"""Finds out why each new P0 burns, beside the delivery: a card never waits long for its cause."""

from __future__ import annotations

import logging
import threading
from typing import Final

from why504.alerts.finding import Explainer
from why504.alerts.ledger import Ledger
from why504.errors import AlertsUnavailable
from why504.probe.clock import Clock

log = logging.getLogger(__name__)

AGAIN_S: Final = 15.0
"""Evidence grows: what nobody can say yet is asked again."""
WITHIN_S: Final = 600.0
"""What could not be explained by then is not explained."""
_LOOK_S: Final = 0.2


class Explaining:
    """Asks the explainer for every P0 incident that goes on; for one thread."""

    def __init__(self, ledger: Ledger, explainer: Explainer, clock: Clock) -> None:
        self._ledger = ledger
        self._explainer = explainer
        self._clock = clock
        self._asked_ns: dict[str, int] = {}

    def run(self, stop: threading.Event) -> None:
        """Ask until told to stop."""
        while not stop.wait(_LOOK_S):
            try:
                self.step()
            except AlertsUnavailable as error:
                log.warning("%s", error)
            except Exception:
                log.exception("no cause can be found; cards go without one")

    def step(self) -> None:
        """Ask for whatever is due."""
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
        if finding := self._explainer.explain():
            known = self._ledger.incidents.known
            theirs = [key for key in due if known(key).service in finding.services]
            self._ledger.incidents.explain(theirs, finding, self._clock.wall_ns())
