"""Which changes the next message tells: those of one incident, in a storm those of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from why504.alerts.ledger import MOST_CHANGES
from why504.alerts.message import Unsent

MOST_ALONE: Final = 3
"""So many incidents get a message each; of more, one message tells all."""


def chosen(unsent: Sequence[Unsent]) -> list[Unsent]:
    """Return what to tell next; nothing only if there is nothing.

    Most urgent first, and of those what goes on before what is over: after an outage of the room
    people have to know what burns.

    Args:
        unsent: the most urgent first, the oldest first.
    """
    if not unsent:
        return []
    urgent = min(one.level for one in unsent)
    lane = [one for one in unsent if one.level == urgent]
    lane = [one for one in lane if one.live] or lane
    incidents = {one.incident for one in lane}
    if len(incidents) > MOST_ALONE:
        return lane[:MOST_CHANGES]
    return [one for one in unsent if one.incident == lane[0].incident][:MOST_CHANGES]
