"""The threads of anyio, in which FastAPI runs synchronous endpoints: 40 a loop, then a queue.

https://anyio.readthedocs.io/en/stable/threads.html: the limiter belongs to a loop and can be got
there only; its numbers may be read from any thread.
"""

from __future__ import annotations

import sys
from typing import Any


class Threadpool:
    """The limiter of one event loop, once the application has imported anyio."""

    __slots__ = ("_limiter",)

    def __init__(self) -> None:
        self._limiter: Any = None

    def find(self) -> None:
        """Look for the limiter; called in a task of the loop, since anyio knows no other place."""
        if self._limiter is not None:
            return
        threads = sys.modules.get("anyio.to_thread")
        if threads is not None:
            self._limiter = threads.current_default_thread_limiter()

    def tokens(self) -> tuple[int, int, int]:
        """Return (used, most, waiting); all 0 where there is no limiter."""
        limiter = self._limiter
        if limiter is None:
            return 0, 0, 0
        seen = limiter.statistics()
        return int(seen.borrowed_tokens), int(seen.total_tokens), int(seen.tasks_waiting)
