"""Sends frozen messages to one room, at its pace, and notes what became of each."""

from __future__ import annotations

import logging

from why504.alerts.cards.card import without_card
from why504.alerts.kept.ledger import Ledger
from why504.alerts.kept.message import Frozen
from why504.alerts.rooms.chat import Room
from why504.alerts.rooms.pace import Pace
from why504.alerts.rooms.reach import Reach
from why504.errors import ChatBusy, ChatRefused
from why504.probe.clock import Clock

log = logging.getLogger(__name__)


class Sender:
    """One room; for one thread."""

    def __init__(self, ledger: Ledger, room: Room, pace: Pace, clock: Clock) -> None:
        self._ledger = ledger
        self._room = room
        self._pace = pace
        self._clock = clock
        self.reach = Reach()

    @property
    def is_storm(self) -> bool:
        """Return whether messages are held apart, so that each should tell all that waits."""
        return self._pace.is_storm

    def wait_s(self) -> float:
        """Return for how long to wait; 0.0 when a message may be sent now."""
        return self._pace.wait_s(self._clock.monotonic_s())

    def send(self, frozen: Frozen) -> None:
        """Try once to bring a message into the room."""
        try:
            self.pass_on(frozen.body, frozen.request_id)
        except ChatBusy as error:
            self._ledger.failed(frozen, str(error))
        except ChatRefused as error:
            log.warning("a message was refused, see `why504 alerts log`: %s", error)
            plain = without_card(frozen, self._ledger.told_by(frozen))
            if plain is None:
                self._ledger.dead(frozen, str(error), self._clock.wall_ns())
            else:
                self._ledger.reword(frozen, plain, str(error))
        else:
            self._ledger.delivered(frozen, self._clock.wall_ns())

    def pass_on(self, body: str, request_id: str) -> None:
        """Try once to bring into the room what no ledger holds; raises as `Room.send` does."""
        try:
            self._room.send(body, request_id)
        except ChatBusy as error:
            self.reach.failed(error, self._clock.monotonic_s())
            self._pace.failed(self._clock.monotonic_s())
            raise
        except ChatRefused:
            self._pace.sent(self._clock.monotonic_s())
            raise
        self.reach.succeeded(self._clock.monotonic_s())
        self._pace.sent(self._clock.monotonic_s())
