"""Sends what the ledger holds to a room: one message at a time, each until it is there."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Final

from why504.alerts.alert import Level
from why504.alerts.cards.card import bare, message
from why504.alerts.cards.compose import MOST_ALONE, chosen
from why504.alerts.cards.digest import digest, due_before_ns
from why504.alerts.cards.frame import Place
from why504.alerts.cards.reply import closing, explanation
from why504.alerts.guard.heartbeat import GRACE_S
from why504.alerts.kept.ledger import Ledger
from why504.alerts.kept.message import Batch, Frozen, Unsent
from why504.alerts.rooms.chat import Room
from why504.alerts.rooms.finding import Finding
from why504.alerts.rooms.pace import Pace
from why504.alerts.rooms.sending import Sender
from why504.errors import AlertsUnavailable
from why504.probe.clock import Clock

log = logging.getLogger(__name__)

IDLE_S: Final = 1.0
CAUSE_WITHIN_S: Final = 3.0
"""A cause that is known by then is in the first card; a later one is a reply to it."""
EXPIRE_EVERY_S: Final = 10.0
_LOOK_S: Final = 0.2


class Delivery:
    """One room, and what is sent there; for one thread."""

    def __init__(
        self,
        ledger: Ledger,
        room: Room,
        place: Place,
        pace: Pace,
        clock: Clock,
        *,
        explained: bool = False,
    ) -> None:
        """Take what it needs.

        Args:
            explained: whether somebody finds out causes: a new P0 waits a little for its own.
        """
        self._ledger = ledger
        self.sender = Sender(ledger, room, pace, clock)
        self._place = place
        self._clock = clock
        self._explained = explained
        self._begun_s = self._expire_next_s = clock.monotonic_s()
        self._news = threading.Event()

    @property
    def failure(self) -> str:
        """Return why the room did not take the last message, for people; empty when it did."""
        return self.sender.reach.failure

    def wake(self) -> None:
        """Say that there is something new; from any thread."""
        self._news.set()

    def run(self, stop: threading.Event) -> None:
        """Send until told to stop."""
        while not stop.is_set():
            try:
                wait_s = self.step()
            except AlertsUnavailable as error:
                log.warning("%s", error)
                wait_s = IDLE_S
            except Exception:
                # Were this thread to die of a surprise, alerts would be taken and never told.
                log.exception("delivery failed, and is tried again")
                self.sender.reach.failure = "delivery fails, see the router's log"
                wait_s = IDLE_S
            # Woken up for nothing while the pace does not allow more: that is cheap.
            if wait_s > 0:
                self._news.wait(wait_s) if wait_s >= IDLE_S else stop.wait(wait_s)
                self._news.clear()

    def step(self) -> float:
        """Send one message if there is one and it may be sent; return for how long to rest, s."""
        self._expire()
        if wait_s := self.sender.wait_s():
            return wait_s
        frozen = self._next()
        if frozen is None:
            return _LOOK_S if self._explained else IDLE_S
        self.sender.send(frozen)
        return 0.0

    def _expire(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s >= self._expire_next_s:
            self._expire_next_s = now_s + EXPIRE_EVERY_S
            heard = now_s >= self._begun_s + GRACE_S
            self._ledger.expire(self._clock.wall_ns(), heartbeats=heard)

    def _next(self) -> Frozen | None:
        waiting = self._ledger.waiting()
        # What is more urgent overtakes it; nothing else, or an end could overtake its begin.
        unsent = self._ledger.unsent(waiting.level if waiting else Level.P2)
        now_ns = self._clock.wall_ns()
        findings = self._ledger.incidents.untold()
        # In a storm a P0 would wait for the messages of others before it.
        if told := chosen(unsent, most_alone=1 if self.sender.is_storm else MOST_ALONE):
            if self._waits_for_a_cause(told, findings, now_ns):
                return None
            return self._ledger.freeze(self._made(told, findings), now_ns)
        if waiting is None and (reply := self._reply(findings) or self._closing()):
            return self._ledger.freeze(reply, now_ns)
        if waiting is None and (quiet := self._ledger.quiet(due_before_ns(now_ns))):
            return self._ledger.freeze(digest(quiet, self._place), now_ns)
        return waiting

    def _made(self, told: Sequence[Unsent], findings: Mapping[str, Finding]) -> Batch:
        try:
            tickets = self._ledger.tickets.urls({one.incident for one in told})
            return message(told, self._place, findings, tickets)
        except Exception:
            # One alert of which no card can be made must not hold up all that come after it.
            log.exception("no card can be made, so it is told without one")
            return bare(told)

    def _waits_for_a_cause(
        self, told: Sequence[Unsent], findings: Mapping[str, Finding], now_ns: int
    ) -> bool:
        """Return whether a new P0 may wait for its cause: it comes in the first card, or soon."""
        first = told[0]
        if not self._explained or first.level is not Level.P0 or first.told:
            return False
        waited_s = (now_ns - first.change.taken_ns) / 1e9
        return first.live and first.incident not in findings and 0 <= waited_s < CAUSE_WITHIN_S

    def _reply(self, findings: Mapping[str, Finding]) -> Batch | None:
        known = {key: self._ledger.incidents.known(key) for key in findings}
        told = [key for key in findings if known[key].told]
        if not told:
            return None
        first, finding = told[0], findings[told[0]]
        alike = [key for key in told if findings[key] == finding]
        # In a storm the same cause is not told to each thread.
        explained = alike if len(alike) > MOST_ALONE else [first]
        return explanation(explained, known[first], finding, self._place)

    def _closing(self) -> Batch | None:
        if (told := self._ledger.incidents.closing()) is None:
            return None
        key, aftermath = told
        return closing(key, self._ledger.incidents.known(key), aftermath, self._place)
