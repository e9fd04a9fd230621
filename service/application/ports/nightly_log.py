"""How far the nightly job came, so that a second start goes on where the first ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Protocol


@dataclass(frozen=True, slots=True)
class NightlyRun:
    """One night's run; users are done in order of id, up to `done_up_to`."""

    night: date
    users_total: int
    done_up_to: str = ""
    users_done: int = 0
    """Users looked at, failed ones among them."""
    users_failed: int = 0
    finished: bool = False


class NightlyLog(Protocol):
    """One run a night, in one transaction."""

    async def begin(self, night: date, *, users_total: int) -> NightlyRun:
        """Return the night's run as it was left, or a new one over `users_total` users."""

    async def save(self, run: NightlyRun) -> None:
        """Store how far a run came that was begun."""
