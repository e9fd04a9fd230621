"""The file of one process: appended to, rotated, bounded; a disk that refuses is only counted."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from why504.probe.blackbox import folder as places
from why504.probe.blackbox.frames import PROCESS, pack

PARTS: Final = 2
"""So many files of a process are kept: the newest half of its evidence at least."""
RETRY_S: Final = 5.0
"""After a disk refused, it is not asked again sooner."""


class BoxFile:
    """Frames of one process on disk; for one thread at a time.

    Args:
        folder: made where it is missing.
        limit_bytes: of all its files together.
        process: told at the beginning of each file.
    """

    def __init__(
        self, folder: Path, limit_bytes: int, process: Callable[[], Mapping[str, object]]
    ) -> None:
        self.folder = folder
        self.stem = places.new_stem(os.getpid(), time.time_ns())
        self._part_bytes = limit_bytes // PARTS
        self._process = process
        self._file = -1
        self._number = 0
        self._size = 0
        self._asked_again_s = float("-inf")

    def append(self, frames: list[bytes]) -> bool:
        """Hand frames to the operating system, which keeps them however the process ends.

        Returns:
            Whether it took them all; a file that is not there yet is made first.
        """
        if time.monotonic() < self._asked_again_s:
            return False
        try:
            for frame in frames:
                self._write(frame)
        except OSError:
            # What is half written is passed over by readers.
            self._asked_again_s = time.monotonic() + RETRY_S
            return False
        return True

    def close(self) -> None:
        """Give the file back; what is in it stays. What comes later begins another part."""
        if self._file >= 0:
            with suppress(OSError):
                os.close(self._file)
            self._file = -1

    def _write(self, frame: bytes) -> None:
        full = self._size + len(frame) > self._part_bytes
        # Somebody who tidies up may delete it: what is appended then nobody would ever find.
        if self._file < 0 or full or os.fstat(self._file).st_nlink == 0:
            self._next_part()
        view = memoryview(frame)
        while view:
            written = os.write(self._file, view)
            self._size += written
            view = view[written:]

    def _next_part(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._number == 0:
            places.make_room(self.folder, self.stem)
        file = places.opened(places.part(self.folder, self.stem, self._number))
        self.close()
        self._file, self._size = file, 0
        self._number += 1
        self._forget_old_parts()
        head = pack(PROCESS, json.dumps(self._process()).encode())
        self._size = os.write(self._file, head)

    def _forget_old_parts(self) -> None:
        for path in places.boxes(self.folder).get(self.stem, ())[:-PARTS]:
            path.unlink(missing_ok=True)
