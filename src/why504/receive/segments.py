"""Parquet segments: written whole or not at all, merged when many, deleted when old.

Nothing is ever changed in place: a reader sees a segment entirely or not. One process writes.
Sizes are from measurements: below 40,000 rows a file, reading costs up to nine times as much.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from why504 import tables
from why504.receive.decode import Batch
from why504.receive.pairs import Pairs
from why504.receive.table import table
from why504.receive.wal import sync_folder

log = logging.getLogger(__name__)

ROWS_PER_GROUP: Final = 122_880
FAN_IN: Final = 16
"""So many segments of one size become one; at most FAN_IN x 6 sizes remain unmerged."""
MERGE_BYTES: Final = 256 * 2**20
"""Memory that one merge may take, by the segments' unpacked sizes."""
PARTIAL: Final = ".partial"
_RISING: Final = [column.name for column in tables.SPANS if column.arrow == "int64"]
"""Times; as differences they take 7 bytes a span less, and less time to write and to read."""
_REPEATING: Final = [
    column.name
    for column in tables.SPANS
    if column.name not in _RISING and not column.arrow.startswith("bin")
]


@dataclass(frozen=True, slots=True)
class Retention:
    """What is kept: whichever bound is met first."""

    max_age_s: float = 7 * 24 * 3600
    """A segment goes as a whole, once its newest span ended longer ago than this."""
    max_bytes: int = 4 * 2**30
    """Of all segments together; the oldest go first."""


KEEP_ALL: Final = Retention(max_age_s=1e9, max_bytes=2**62)
"""For what was imported on purpose, however old."""


@dataclass(frozen=True, slots=True)
class Segment:
    """What is known of one file without reading its rows."""

    path: Path
    size: int
    rows: int
    unpacked_bytes: int
    oldest_ns: int
    """When the first of its spans ended."""
    newest_ns: int
    """When the last of them did."""


class Segments:
    """The folder of segments; for one thread at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for partial in folder.glob(f"*{PARTIAL}"):
            partial.unlink()
        self._known: dict[str, Segment] = {}
        self._pairs = Pairs()

    def write(self, name: str, batches: Sequence[Batch]) -> None:
        """Make the batches one durable segment; a segment of the same name is replaced.

        Raises:
            OSError: the disk refuses; nothing of the segment is visible.
        """
        self.write_table(name, table(batches, self._pairs))

    def write_table(self, name: str, rows: pa.Table) -> None:
        """Make rows, of the columns of `tables.SPANS`, one durable segment, as `write` does.

        Raises:
            OSError: the disk refuses; nothing of the segment is visible.
        """
        partial = self.folder / f"{name}{PARTIAL}"
        try:
            with partial.open("wb") as file:
                pq.write_table(
                    rows.sort_by("start_ns"),
                    file,
                    row_group_size=ROWS_PER_GROUP,
                    compression="zstd",
                    use_dictionary=_REPEATING,
                    column_encoding=dict.fromkeys(_RISING, "DELTA_BINARY_PACKED"),
                )
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            partial.unlink(missing_ok=True)
            raise
        path = self.folder / f"{name}.parquet"
        partial.rename(path)
        sync_folder(self.folder)
        self._known.pop(path.name, None)

    def compact(self, name: str) -> bool:
        """Merge FAN_IN small segments of about one size into `name`; False if there are fewer."""
        sizes: dict[int, list[Segment]] = {}
        for segment in self.all():
            if segment.rows < ROWS_PER_GROUP:
                sizes.setdefault(segment.rows.bit_length() // 3, []).append(segment)
        for alike in sizes.values():
            if len(alike) >= FAN_IN:
                self._merge(name, _within(alike[:FAN_IN], MERGE_BYTES))
                return True
        return False

    def retain(self, retention: Retention, now_ns: int) -> int:
        """Delete what `retention` does not keep; return how many segments went."""
        segments = sorted(self.all(), key=lambda segment: segment.newest_ns)
        total = sum(segment.size for segment in segments)
        oldest_ns = now_ns - int(retention.max_age_s * 1e9)
        gone = []
        for segment in segments:
            if segment.newest_ns < oldest_ns or total > retention.max_bytes:
                total -= segment.size
                gone.append(segment)
        self._remove(gone)
        return len(gone)

    def all(self) -> list[Segment]:
        """Return every segment, oldest file first."""
        paths = sorted(self.folder.glob(tables.SEGMENT_GLOB))
        self._known = {path.name: self._known.get(path.name) or _inspect(path) for path in paths}
        return list(self._known.values())

    def _merge(self, name: str, sources: Sequence[Segment]) -> None:
        # Not read_table, which imports pandas where that is installed: two seconds.
        merged = pa.concat_tables([pq.ParquetFile(source.path).read() for source in sources])
        told = {tables.MERGED_FROM: json.dumps({s.path.name: s.oldest_ns for s in sources})}
        self.write_table(name, merged.unify_dictionaries().replace_schema_metadata(told))
        self._remove(sources)

    def _remove(self, segments: Sequence[Segment]) -> None:
        for segment in segments:
            segment.path.unlink(missing_ok=True)
        if segments:
            sync_folder(self.folder)


def _within(segments: Sequence[Segment], unpacked_bytes: int) -> list[Segment]:
    """Return the first segments that fit, two at least: one alone would be merged for ever."""
    chosen: list[Segment] = []
    for segment in segments:
        unpacked_bytes -= segment.unpacked_bytes
        if unpacked_bytes < 0 and len(chosen) >= 2:
            break
        chosen.append(segment)
    return chosen


def _inspect(path: Path) -> Segment:
    stat = path.stat()
    try:
        footer = pq.read_metadata(path)
        ends = [_ends_ns(footer.row_group(i)) for i in range(footer.num_row_groups)]
        oldest_ns, newest_ns = min(ends)[0], max(end[1] for end in ends)
        unpacked = sum(footer.row_group(i).total_byte_size for i in range(footer.num_row_groups))
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        # Whoever broke it, its place is only known by its age; too large to be merged.
        log.warning("segment %s can't be read and is left alone: %s", path.name, error)
        return Segment(path, stat.st_size, ROWS_PER_GROUP, 0, 0, stat.st_mtime_ns)
    return Segment(path, stat.st_size, footer.num_rows, unpacked, oldest_ns, newest_ns)


def _ends_ns(group: Any) -> tuple[int, int]:
    told = group.column([c.name for c in tables.SPANS].index("end_ns")).statistics
    return int(told.min), int(told.max)
