"""A dependency that is well, ill, or silent."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field


@dataclass
class FakeHealthCheck:
    name: str = "thing"
    error: Exception | None = None
    silent: bool = False
    stubborn: bool = False
    """A silent one that does not let itself be cancelled either."""
    runs: int = 0
    end: asyncio.Event = field(default_factory=asyncio.Event)

    async def check(self) -> None:
        self.runs += 1
        while self.silent and not self.end.is_set():
            try:
                await self.end.wait()
            except asyncio.CancelledError:
                if not self.stubborn:
                    raise
        if self.error is not None:
            raise self.error
