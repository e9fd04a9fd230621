"""Follows a log through rotations, truncations and restarts: each whole line once, in order."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

from why504.watch.rotation import Position, TimeOf, find, identify, newer

READ_BYTES: Final = 262_144
"""Read at once; a line that is longer is not one of ours, and is given back in pieces."""
ROTATION_GRACE_S: Final = 1.0
"""Writers may still append to a renamed file until each of them has opened the new one."""
_COMPARED_BYTES: Final = 256


@dataclass(frozen=True, slots=True)
class Batch:
    """Whole lines, without their ends, and the position after them."""

    lines: Sequence[bytes]
    position: Position


@dataclass(slots=True)
class _Open:
    """The file that is being read."""

    file: BinaryIO
    offset: int
    start: bytes = b""
    """Its first bytes as they were: others are there after a truncation."""
    quiet_since_s: float = 0.0
    """Since when nothing came although it is no longer the log; 0 while it is."""


class Tail:
    """Reads the lines of `log` from `position` on. Not for several threads at once.

    What was read is read again until it is accepted: so nothing is lost if it could not be sent.
    """

    def __init__(
        self,
        log: Path,
        position: Position,
        *,
        time_of: TimeOf,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.torn = 0
        """Last lines without an end that a rotation left behind: dropped."""
        self.lost = 0
        """Times that the file at `position` was gone, with whatever it held beyond."""
        self._log = log
        self._position = position
        self._time_of = time_of
        self._clock_s = clock_s
        self._open: _Open | None = None

    def close(self) -> None:
        """Close the file; reading on opens it again."""
        if self._open is not None:
            self._open.file.close()
            self._open = None

    def read(self) -> Batch:
        """Return the lines after the position, none if there are none now, or no log yet.

        Raises:
            PermissionError: the log may not be read.
        """
        if self._open is not None and _was_truncated(self._open):
            self.close()
        reading = self._open or self._resume()
        if reading is None:
            return Batch((), self._position)
        chunk = os.pread(reading.file.fileno(), READ_BYTES, reading.offset)
        whole = len(chunk) if len(chunk) == READ_BYTES and b"\n" not in chunk else 0
        whole = whole or chunk.rfind(b"\n") + 1
        if whole == 0:
            self._leave_if_rotated(reading, torn=bool(chunk))
            return Batch((), self._position)
        lines = [line for line in chunk[:whole].split(b"\n") if line]
        return Batch(lines, self._after(reading, chunk, whole))

    def accept(self, batch: Batch) -> None:
        """Go on after a batch that was read."""
        self._position = batch.position
        if self._open is not None:
            self._open.offset = batch.position.offset
            self._open.start = _start(self._open.file, batch.position.offset)
            self._open.quiet_since_s = 0.0

    def _resume(self) -> _Open | None:
        """Open the file that the position is in, else the one that followed it."""
        path, offset = find(self._log, self._position, self._time_of), self._position.offset
        if path is None:
            path, offset = newer(self._log, self._position, self._time_of), 0
            self.lost += path is not None and bool(self._position.head)
        return None if path is None else self._open_at(path, offset)

    def _open_at(self, path: Path, offset: int) -> _Open | None:
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return None
        self._open = _Open(file, offset, _start(file, offset))
        return self._open

    def _after(self, reading: _Open, chunk: bytes, whole: int) -> Position:
        if reading.offset > 0:
            return replace(self._position, offset=reading.offset + whole)
        head, began_s = identify(chunk, self._time_of)
        return Position(head, began_s or self._position.began_s, whole)

    def _leave_if_rotated(self, reading: _Open, *, torn: bool) -> None:
        """Go on to the next file once this one is no longer the log and has been quiet a while."""
        if not self._moved(reading):
            return
        following = newer(self._log, self._position, self._time_of)
        if following is None:
            return
        now_s = self._clock_s()
        reading.quiet_since_s = reading.quiet_since_s or now_s
        # One that was rotated twice is no longer written to: no need to wait.
        if following != self._log or now_s - reading.quiet_since_s >= ROTATION_GRACE_S:
            self.torn += torn
            self.close()
            self._open_at(following, 0)

    def _moved(self, reading: _Open) -> bool:
        try:
            return not os.path.samestat(self._log.stat(), os.fstat(reading.file.fileno()))
        except FileNotFoundError:
            return True


def _start(file: BinaryIO, offset: int) -> bytes:
    return os.pread(file.fileno(), min(offset, _COMPARED_BYTES), 0)


def _was_truncated(reading: _Open) -> bool:
    descriptor = reading.file.fileno()
    if os.fstat(descriptor).st_size < reading.offset:
        return True
    return os.pread(descriptor, len(reading.start), 0) != reading.start
