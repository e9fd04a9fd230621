"""Acknowledgements: who gave one is told, and who gave none is called once more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from why504.alerts.alert import Level
from why504.alerts.cards.compose import MOST_ALONE, chosen
from why504.alerts.cards.frame import Place
from why504.alerts.cards.text import in_message
from why504.alerts.cards.widgets import LINE, as_bytes
from why504.alerts.cards.words import word
from why504.alerts.guard.retelling import retold
from why504.alerts.kept.acknowledgements import Answered
from why504.alerts.kept.ledger import Ledger
from why504.alerts.kept.message import ACKNOWLEDGED, ESCALATION, ROOMS, Batch
from why504.probe.clock import Clock

_LOOK_S: Final = 1.0


class Escalating:
    """Freezes what whoever sends to a room will send; for one thread."""

    def __init__(
        self, ledger: Ledger, place: Place, clock: Clock, *, room: str, after_s: float
    ) -> None:
        """Take what it needs.

        Args:
            room: where a P0 is told again that nobody acknowledged.
            after_s: for how long it has to burn, once it was told.
        """
        self._ledger = ledger
        self._place = place
        self._clock = clock
        self._room = room
        self._after_s = after_s

    def step(self) -> float:
        """Freeze what is due; return for how long to rest, s."""
        told = [self._acknowledged(room) for room in ROOMS]
        return 0.0 if any([*told, self._escalate()]) else _LOOK_S

    def _acknowledged(self, room: str) -> bool:
        answered = self._ledger.acknowledgements.untold(room)
        # A thread each; but a storm had none.
        part = answered if len(answered) > MOST_ALONE else answered[:1]
        if part:
            self._ledger.freeze(_acknowledged(part, room, self._place), self._clock.wall_ns())
        return bool(part)

    def _escalate(self) -> bool:
        now_ns = self._clock.wall_ns()
        told = chosen(self._ledger.notices.unanswered(now_ns - int(self._after_s * 1e9)))
        if told:
            why = word("unanswered", self._place.language, seconds=round(self._after_s))
            batch = retold(
                told, self._ledger, self._place, kind=ESCALATION, room=self._room, why=why
            )
            self._ledger.freeze(batch, now_ns)
        return bool(told)


def _acknowledged(answered: Sequence[Answered], room: str, place: Place) -> Batch:
    first = answered[0]
    what = f"{first.level.name} {first.service}"
    if len(answered) > 1:
        what = word("incidents", place.language, number=len(answered))
    name = first.by or word("somebody", place.language)
    said = word("acknowledged_by", place.language, name=name)
    body = {
        "text": in_message(f"{what} · {said}", LINE),
        "thread": {"threadKey": first.key},
    }
    keys = [one.key for one in answered]
    return Batch(
        request_id=str(uuid5(NAMESPACE_URL, f"why504/{ACKNOWLEDGED}/{room}/{','.join(keys)}")),
        body=as_bytes(body).decode(),
        # It is no news that may hold up a P0.
        level=Level.P1,
        changes=[],
        incidents=keys,
        room=room,
        kind=ACKNOWLEDGED,
    )
