"""How a request ended, in a few words."""

from __future__ import annotations

from dashboards.draw.text import duration
from dashboards.language import Say
from dashboards.words import request as words
from why504.model import Victim


def ending(victim: Victim, say: Say) -> str:
    """Return when and how somebody gave up on it, answered it, or last heard of it."""
    after = duration((victim.gave_up_ns - victim.start_ns) / 1e9)
    if victim.how == "timeout":
        return say(words.GAVE_UP, after=after, status=victim.status)
    if victim.how == "in flight":
        return say(words.LAST_SEEN, after=after)
    return say(words.ANSWERED, after=after, status=victim.status or "?")
