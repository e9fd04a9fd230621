"""Processes that stand still because C code keeps their GIL, told while they can't tell it.

Their black boxes' folder is looked at: a dump that was taken, of a process that still lives and has
not forgotten it, is a stall that goes on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan

from why504.probe.blackbox import folder as places
from why504.probe.blackbox.dumped import Dumped, dumped
from why504.probe.telling.records import readable
from why504.probe.telling.rhythm import Rhythm, Telling

LOOK_S: Final = 1.0
_RHYTHM: Final = Rhythm(1.0, 300.0)


class StandstillWatch:
    """Tells each standstill in the name of the process that stands still; for one thread.

    Args:
        folder: of black boxes; it may come later.
        take: gets what is told.
    """

    def __init__(self, folder: Path, take: Callable[[ReadableSpan], None]) -> None:
        self._folder = folder
        self._take = take
        self._known: dict[tuple[Path, int], tuple[Dumped, Telling]] = {}

    def run(self, stop: threading.Event) -> None:
        """Look every second until told to stop.

        Raises:
            OSError: the folder can't be read.
        """
        while not stop.wait(LOOK_S):
            self.look()

    def look(self) -> None:
        """Tell what is new or due, and the ends of what is over. Raises as `run`."""
        now_s = time.monotonic()
        seen = {(found.path, found.taken_ns): found for found in self._standing()}
        for key, found in seen.items():
            _, telling = self._known.setdefault(key, (found, Telling(now_s - 1.0, _RHYTHM)))
            if telling.due_s <= now_s:
                self._tell(found, telling.tell(now_s))
        for key in self._known.keys() - seen.keys():
            self._tell(self._known.pop(key)[0], 0)

    def _standing(self) -> Iterator[Dumped]:
        for path in places.dumps(self._folder) if self._folder.is_dir() else ():
            found = dumped(path) if places.is_written(path) else None
            if found is not None:
                yield found

    def _tell(self, found: Dumped, sequence: int) -> None:
        record = found.record(max(time.time_ns(), found.taken_ns), sequence)
        self._take(readable(record, found.resource()))
