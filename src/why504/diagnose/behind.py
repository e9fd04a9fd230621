"""Behind a blocked loop: the lock of threads that it stands at, and who has it at which line.

What blocks a loop by waiting tells a wait beside the stall: in the same thread, at the same line.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from why504 import names
from why504.diagnose.blame import Blamer, plain, resource_key
from why504.diagnose.chain import described
from why504.diagnose.leaves import Resting
from why504.diagnose.outsiders import now_at, who_has
from why504.model import ChainLink, Hold, Stall, Wait

LOCK_ADVICE: Final = (
    "Never wait on the event loop for a lock that a thread, or a task that awaits, may have: take "
    "it in a thread, or use asyncio.Lock."
)


def lock_behind(top: Resting, blamer: Blamer) -> list[ChainLink]:
    """Return the link to the lock at which a leaf's stalls stand longest; empty for none."""
    stalls: dict[object, list[Stall]] = defaultdict(list)
    for source in top.sources.values():
        if isinstance(source, Stall) and source.site is not None:
            stalls[_place(source)].append(source)
    longest_ns, middle_ns, found = 0, 0, None
    for wait in blamer.evidence.waits if stalls else ():
        for stall in stalls.get(_place(wait), ()):
            start_ns = max(wait.start_ns, stall.start_ns)
            length_ns = min(blamer.end_of(wait), blamer.end_of(stall)) - start_ns
            if length_ns > longest_ns:
                longest_ns, middle_ns, found = length_ns, start_ns + length_ns // 2, wait
    if found is None:
        return []
    hold = blamer.holder_at(resource_key(found), middle_ns)
    what = f"waiting for {described(plain(found.resource), [found])}"
    return [ChainLink(what, longest_ns / 1e9, [_held(hold, blamer)])]


def _place(record: Wait | Stall) -> tuple[object, ...]:
    """Return where it is: who awaits in the thread of a loop stands at another line."""
    return record.instance, record.attributes.get(names.THREAD_ID), record.site


def _held(hold: Hold | None, blamer: Blamer) -> str:
    if hold is None:
        return "nobody is known to have it"
    owner = blamer.holder(hold)
    taken = f", taken at {hold.site}" if hold.site else ""
    at = now_at(hold)
    now = f", and is at {at} now" if at else ""
    return f"{owner.route if owner else who_has(hold)} has it{taken}{now}"
