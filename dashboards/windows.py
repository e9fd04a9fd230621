"""How much time is looked at around an incident."""

from __future__ import annotations

from typing import Final

from why504.model import Window

_MINUTE_NS: Final = 60 * 10**9
_LONGEST_BEFORE_NS: Final = 15 * _MINUTE_NS


def around(window: Window) -> Window:
    """Return a window with as long before it, and a minute after.

    Before is at least a minute and at most fifteen.
    """
    length_ns = window.end_ns - window.start_ns
    before_ns = min(max(length_ns, _MINUTE_NS), _LONGEST_BEFORE_NS)
    return Window(window.start_ns - before_ns, window.end_ns + _MINUTE_NS)
