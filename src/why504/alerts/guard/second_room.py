"""The second room: what the first does not hear within a minute, and that the disk is full."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from why504.alerts.alert import FIRING, NAME, SEVERITY, Alert, Level, fingerprint_of
from why504.alerts.cards.ack_links import AckLinks
from why504.alerts.cards.card import message
from why504.alerts.cards.compose import chosen
from why504.alerts.cards.frame import Place
from why504.alerts.cards.words import word
from why504.alerts.guard.retelling import retold
from why504.alerts.kept.keeping import Keeping
from why504.alerts.kept.ledger import Ledger
from why504.alerts.kept.message import ELSEWHERE, SECOND, Change, Frozen, Unsent
from why504.alerts.rooms.sending import Sender
from why504.errors import ChatBusy, ChatRefused
from why504.probe.clock import Clock

log = logging.getLogger(__name__)

LATE_S: Final = 60.0
UNKEPT_EVERY_S: Final = 600.0
_LOOK_S: Final = 1.0
_LABELS: Final = {NAME: "AlertsNotKept", SEVERITY: "p0", "service_name": "alerting"}


class SecondRoom:
    """What is told there, beside the delivery to the first; for one thread."""

    def __init__(self, ledger: Ledger, sender: Sender, place: Place, clock: Clock) -> None:
        self._ledger = ledger
        self._sender = sender
        self._place = place
        self._clock = clock
        self._failures = 0
        self._unkept: tuple[str, str] | None = None
        self._unkept_next_s = clock.monotonic_s()

    def step(self) -> float:
        """Send one message if there is one and it may be sent; return for how long to rest, s."""
        if wait_s := self._sender.wait_s():
            return wait_s
        # Before anything is asked of the ledger, which may be what fails.
        if self._tell_unkept():
            return 0.0
        frozen = self._ledger.waiting(SECOND) or self._late()
        if frozen is None:
            return _LOOK_S
        self._sender.send(frozen)
        return 0.0

    def _late(self) -> Frozen | None:
        now_ns = self._clock.wall_ns()
        told = chosen(self._ledger.notices.late(now_ns - int(LATE_S * 1e9)))
        if not told:
            return None
        why = word("elsewhere", self._place.language)
        batch = retold(told, self._ledger, self._place, kind=ELSEWHERE, room=SECOND, why=why)
        return self._ledger.freeze(batch, now_ns)

    def _tell_unkept(self) -> bool:
        """Return whether it was tried: a message that nothing but memory holds."""
        keeping, now_s = self._ledger.keeping, self._clock.monotonic_s()
        if self._unkept is None:
            if keeping.failures == self._failures or now_s < self._unkept_next_s:
                return False
            self._failures = keeping.failures
            self._unkept_next_s = now_s + UNKEPT_EVERY_S
            self._unkept = _unkept(keeping, self._place, self._clock.wall_ns())
        try:
            self._sender.pass_on(*self._unkept)
        except ChatBusy as error:
            log.warning("%s; nor is that told in the second room: %s", keeping.failure, error)
            return True
        except ChatRefused as error:
            log.warning("%s; the second room refuses to hear it: %s", keeping.failure, error)
        self._unkept = None
        return True


def _unkept(keeping: Keeping, place: Place, now_ns: int) -> tuple[str, str]:
    """Return the body of a message, and its id."""
    alert = Alert(
        labels=_LABELS,
        status=FIRING,
        starts_ns=now_ns,
        annotations={
            "summary": "The router can't keep alerts, and so takes none",
            "description": f"{keeping.failure}. Not kept: {', '.join(keeping.urgent) or 'no P0'}.",
        },
        fingerprint=fingerprint_of(_LABELS),
    )
    told = Unsent(
        change=Change(0, alert, now_ns), level=Level.P0, incident=alert.fingerprint,
        service=alert.service, opened_ns=now_ns, incident_level=Level.P0, told=0, woken=False,
        live=True,
    )  # fmt: skip
    # Nobody can acknowledge what is not kept.
    body = message([told], replace(place, ack_links=AckLinks())).body
    return body, str(uuid5(NAMESPACE_URL, f"why504/unkept/{now_ns}"))
