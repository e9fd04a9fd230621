"""Until when something lasted: its end, or for what is still open, what its process told of it.

What is open is told again at growing intervals (docs/how-evidence-travels.md). What was due to be
told again and was not has ended, and its end got lost: it must not be blamed for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from why504.model import Record, Span

_LATE_NS: Final = 3_000_000_000
"""A row may come this much later than it is due."""


def end_of(item: Span | Record, heard_ns: Mapping[str, int]) -> int:
    """Return the end; of what is open, when its instance was last heard of or it fell silent."""
    if item.end_ns is not None:
        return item.end_ns
    seen_ns = max(item.start_ns, item.last_seen_ns)
    return max(seen_ns, min(heard_ns.get(item.instance, seen_ns), due_of(item)))


def due_of(item: Span | Record) -> int:
    """Return when what is open had to be told again, had it gone on."""
    return due_again(item.start_ns, max(item.start_ns, item.last_seen_ns))


def due_again(start_ns: int, seen_ns: int) -> int:
    """Return until when something open must have been told again, that was last told at `seen_ns`.

    Intervals grow by half: at the age of 4.75 s the next row comes 3.4 s later.
    """
    return seen_ns + (seen_ns - start_ns) // 2 + _LATE_NS
