"""Rings: those who hold what the next one waits for, all the way round, so that none can go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from why504.diagnose.activity import Activity, flat
from why504.model import Hold, Leaf, Wait

NAMED: Final = ("lock:", "limiter:")
"""What the user named; a ring with one of them is told line by line."""
OF_NAMED: Final = "lock"
"""Peer of the leaf of such a ring."""
_LONGEST: Final = 12

HolderAt = Callable[[Wait, int], tuple[Hold, Activity | None] | None]
"""Returns who has what a wait is for at a moment, and for which activity."""


def ring_leaf(start: Activity, time_ns: int, holder_at: HolderAt, last: str) -> tuple[Leaf, str]:
    """Return the leaf of the ring in which an activity is at a moment, and the kind of its peer.

    `last` is the resource through which one came, which names rings that are not told by line.
    """
    links = _links(start, time_ns, holder_at)
    if not any(wait.resource.startswith(NAMED) for _, wait in links):
        what = f"a ring of requests that hold {last} and wait for one another"
        return Leaf("cycle", what), ""
    # Wherever one entered it, it is one ring.
    first = min(range(len(links)), key=lambda n: (links[n][0].resource, str(links[n][0].site)))
    links = links[first:] + links[:first]
    told = [
        f"who has {hold.resource}{_at('taken at', hold)} waits for {wait.resource}{_at('at', wait)}"
        for hold, wait in links
    ]
    hold, wait = links[0]
    return Leaf("cycle", f"a ring: {'; '.join(told)}", wait.site or hold.site), OF_NAMED


def _links(start: Activity, time_ns: int, holder_at: HolderAt) -> list[tuple[Hold, Wait]]:
    """Return what each member of the ring has and waits for, in order; empty if it is none."""
    path: list[tuple[Hold, Wait]] = []
    taken: dict[str, int] = {}
    """Id of a hold -> how many links there were before its holder's."""
    activity = start
    hold: Hold | None = None
    for _ in range(_LONGEST):
        now = flat(activity, time_ns, time_ns + 1)
        wait = now[0][0].source if now else None
        if not isinstance(wait, Wait):
            return []
        if hold is not None:
            path.append((hold, wait))
        found = holder_at(wait, time_ns)
        if found is None or found[1] is None:
            return []
        hold, activity = found[0], found[1]
        if hold.span_id in taken:
            return path[taken[hold.span_id] :]
        taken[hold.span_id] = len(path)
    return []


def _at(word: str, record: Hold | Wait) -> str:
    return f" ({word} {record.site})" if record.site else ""
