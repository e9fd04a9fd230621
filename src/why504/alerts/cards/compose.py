"""Which changes the next message tells: those of one incident, in a storm those of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from why504.alerts.cards.marks import MOST_ALERTS
from why504.alerts.kept.message import Unsent

MOST_ALONE: Final = 3
"""So many incidents get a message each; of more, one message tells all."""


def chosen(unsent: Sequence[Unsent], most_alone: int = MOST_ALONE) -> list[Unsent]:
    """Return what to tell next; nothing only if there is nothing.

    Most urgent first, and of those what goes on before what is over: after an outage of the room
    people have to know what burns.

    Args:
        unsent: the most urgent first, the oldest first.
        most_alone: so many incidents get a message each.
    """
    if not unsent:
        return []
    urgent = min(one.level for one in unsent)
    lane = [one for one in unsent if one.level == urgent]
    lane = [one for one in lane if one.live] or lane
    incidents = {one.incident for one in lane}
    if len(incidents) > most_alone:
        return _that_fit(lane)
    return _that_fit([one for one in unsent if one.incident == lane[0].incident])


def _that_fit(told: Sequence[Unsent]) -> list[Unsent]:
    """Return the first changes, of as many alerts as one message can name."""
    alerts = set()
    for number, one in enumerate(told):
        alerts.add(one.change.alert.identity)
        if len(alerts) > MOST_ALERTS:
            return list(told[:number])
    return list(told)
