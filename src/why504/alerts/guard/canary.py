"""A message an hour into a space of its own, which nobody reads: so a webhook that was revoked is
known before it is needed.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from why504.alerts.cards.widgets import as_bytes
from why504.alerts.cards.words import word
from why504.alerts.metrics import Guarding
from why504.alerts.rooms.chat import Room
from why504.alerts.rooms.reach import Reach
from why504.errors import ChatError
from why504.probe.clock import Clock

log = logging.getLogger(__name__)

EVERY_S: Final = 3600.0
AGAIN_S: Final = 60.0


class Canary:
    """One muted space; for one thread."""

    def __init__(self, room: Room, language: str, counts: Guarding, clock: Clock) -> None:
        self._room = room
        self._language = language
        self._counts = counts
        self._clock = clock
        self.reach = Reach()

    def step(self) -> float:
        """Send this hour's message; return for how long to rest, s."""
        hour = f"{datetime.fromtimestamp(self._clock.wall_ns() / 1e9, UTC):%Y-%m-%d %H:00}"
        body = as_bytes({"text": word("canary", self._language, hour=hour)}).decode()
        try:
            # By its id the space sees one an hour, however often we are started.
            self._room.send(body, str(uuid5(NAMESPACE_URL, f"why504/{body}")))
        except ChatError as error:
            log.warning("the canary did not arrive: %s", error)
            self.reach.failed(error, self._clock.monotonic_s())
            self._counts.canary("failed")
            return AGAIN_S
        self.reach.succeeded(self._clock.monotonic_s())
        self._counts.canary("ok")
        return EVERY_S
