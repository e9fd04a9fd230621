"""One thing that the service can't work without."""

from __future__ import annotations

from typing import Protocol


class HealthCheck(Protocol):
    """A probe of one dependency; it may hang, its caller bounds it."""

    @property
    def name(self) -> str:
        """What is checked: `postgresql`."""

    async def check(self) -> None:
        """Return if all is well; raise anything if not."""
