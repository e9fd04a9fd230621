"""Encoded spans that wait, bounded in number and in bytes; the oldest go first when it is full."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Final

from why504.probe.lean.request import Entry

QUEUE_SPANS: Final = 8192
QUEUE_BYTES: Final = 16_000_000
"""A span may carry a stack, or whatever an application puts on it."""
PIECE_SPANS: Final = 2048
PIECE_BYTES: Final = 900_000
"""Of one request: nginx takes a megabyte, and a request over Tempo's burst never passes."""


class Waiting:
    """A queue for many threads that fill it, and one that empties it."""

    def __init__(self) -> None:
        # Reentrant: garbage collection may end a span while this very thread is in here.
        self._lock = threading.RLock()
        self.entries: deque[Entry] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.entries)

    def put(self, new: Sequence[Entry]) -> tuple[int, int]:
        """Append spans; return how many waited before, and how many had to go for them."""
        entries = self.entries
        with self._lock:
            before = len(entries)
            entries += new
            size = self._bytes
            for _, span in new:
                size += len(span)
            self._bytes = size
            if len(entries) <= QUEUE_SPANS and self._bytes <= QUEUE_BYTES:
                return before, 0
            return before, self._make_room()

    def _make_room(self) -> int:
        gone = 0
        while self.entries and (len(self.entries) > QUEUE_SPANS or self._bytes > QUEUE_BYTES):
            self._bytes -= len(self.entries.popleft()[1])
            gone += 1
        return gone

    def piece(self) -> list[Entry]:
        """Take out the oldest, as many as fit into a request; at least one if there is any."""
        taken: list[Entry] = []
        room = PIECE_BYTES
        with self._lock:
            while self.entries and len(taken) < PIECE_SPANS:
                size = len(self.entries[0][1])
                if taken and size > room:
                    break
                taken.append(self.entries.popleft())
                room -= size
                self._bytes -= size
        return taken
