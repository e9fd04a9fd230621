"""Black boxes on the command line: explained alone, imported, and looked for by the receiver."""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from why504.errors import StoreUnavailable, UnknownFormat, Why504Error

if TYPE_CHECKING:
    from why504.receive.boxes import Box
    from why504.receive.spool import Spool
    from why504.stores.base import EvidenceStore

log = logging.getLogger(__name__)

LOOK_S: Final = 30.0
_QUIET_S: Final = 10.0
"""What the process sent before it ended has come in by then."""


@contextmanager
def store_of(place: Path) -> Iterator[EvidenceStore]:
    """Return an evidence store with what a black box holds, a file or a folder; gone afterwards.

    Raises:
        UnknownFormat: there is nothing in it that can be read.
        StoreUnavailable: there is no room for it beside, where temporary files are.
    """
    from why504.receive import boxes
    from why504.receive.decode import Decoder
    from why504.receive.segments import Segments
    from why504.stores.opening import open_store

    with tempfile.TemporaryDirectory(prefix="why504-") as name:
        folder = Path(name)
        try:
            segments = Segments(folder / "segments")
            for number, part in enumerate(_readable(place)):
                told = [batch for _, batch in boxes.batches(part, Decoder())]
                if told:
                    segments.write(f"{number:020d}", told)
        except OSError as error:
            raise StoreUnavailable(f"no room for evidence in {folder}: {error}") from error
        yield open_store(folder, "")


def _readable(place: Path) -> Iterator[Box]:
    """Yield the parts at a place; one without a whole frame keeps no other back."""
    from why504.receive import boxes

    found, failure = 0, None
    for part in boxes.parts(place):
        try:
            box = boxes.read(part)
        except UnknownFormat as error:
            failure = error
            continue
        found += 1
        yield box
    if not found and failure is not None:
        raise failure


class Salvage:
    """Imports the boxes of processes that are gone, each once it has not grown for a while."""

    def __init__(self, place: Path, store: Path, spool: Spool) -> None:
        from why504.receive.boxes import Importing

        self._place = place
        self._importing = Importing(store, spool)
        self._seen: dict[Path, int] = {}
        """Sizes of what was imported."""

    def look(self) -> int:
        """Import what is new; return how many spans and records that were.

        Raises:
            Why504Error: the store can't be written to now; the next look makes up for it.
        """
        from why504.probe.blackbox import folder
        from why504.receive import boxes

        if not self._place.is_dir():
            return 0
        new = 0
        dumps = [[p] for p in (*folder.dumps(self._place), *folder.exits(self._place))]
        dumps = [parts for parts in dumps if folder.is_taken(parts[0])]
        for parts in (*folder.boxes(self._place).values(), *dumps):
            if folder.is_written(parts[-1]):
                continue
            for part in parts:
                size, changed_s = part.stat().st_size, part.stat().st_mtime
                if self._seen.get(part) == size or time.time() - changed_s < _QUIET_S:
                    continue
                try:
                    new += self._importing.add(boxes.read(part)).new
                except UnknownFormat as error:
                    log.warning("%s", error)
                self._seen[part] = size
        return new

    def run(self, stop: threading.Event) -> None:
        """Look now and every 30 s until told to stop; what fails is logged and tried again."""
        while True:
            try:
                if new := self.look():
                    log.warning("%d spans and records were in black boxes only", new)
            except (OSError, Why504Error) as error:
                log.warning("can't import black boxes of %s: %s", self._place, error)
            if stop.wait(LOOK_S):
                return
