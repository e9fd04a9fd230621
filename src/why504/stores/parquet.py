"""Evidence from the embedded store: DuckDB over the receiver's Parquet segments.

The receiver goes on writing, merging and deleting segments meanwhile: a segment that vanishes makes
us list again, one that can't be read is left out with a warning. Nothing here writes.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from why504 import tables
from why504.errors import MissingExtra, StoreUnavailable
from why504.model import Evidence, Window
from why504.stores import columns
from why504.stores.base import Newest
from why504.stores.records import Row, evidence
from why504.stores.sampled import Sampling

try:
    import duckdb
except ImportError as missing:
    raise MissingExtra("embedded") from missing

log = logging.getLogger(__name__)

ATTEMPTS: Final = 50
WHOLE_ROWS: Final = 100_000
"""A window with more is sampled: whole, it would take the engine over ten seconds."""
T = TypeVar("T")

_COLUMNS: Final = ", ".join(Row._fields)
_TRACE: Final = f"SELECT {_COLUMNS} FROM read_parquet($files) WHERE trace_id = $trace_id"  # noqa: S608, our own columns
_SINCE: Final = f"SELECT {_COLUMNS} FROM read_parquet($file{{0}}) WHERE end_ns >= $since{{0}}"  # noqa: S608, our own columns
_MERGED: Final = f"""
    SELECT file_name, decode(value) FROM parquet_kv_metadata($files)
    WHERE decode(key) = '{tables.MERGED_FROM}'
"""  # noqa: S608, our own name
_WINDOW: Final = f"""
    WITH spans AS (FROM read_parquet($files)),
    heard AS (SELECT instance, max(end_ns) AS heard_ns FROM spans GROUP BY instance),
    told AS (
        SELECT DISTINCT trace_id, snapshot_of, instance
        FROM spans WHERE snapshot_of IS NOT NULL AND start_ns < $end_ns
    ),
    still_open AS (
        SELECT trace_id FROM told JOIN heard USING (instance)
        WHERE heard_ns >= $start_ns AND NOT EXISTS (
            FROM spans AS final
            WHERE final.trace_id = told.trace_id AND final.span_id = told.snapshot_of
        )
    ),
    found AS (
        SELECT trace_id FROM spans WHERE start_ns < $end_ns AND end_ns >= $start_ns
        UNION SELECT trace_id FROM still_open
    )
    SELECT {_COLUMNS} FROM spans SEMI JOIN found USING (trace_id)
"""  # noqa: S608, our own columns
"""Traces whole, as soon as one row overlaps the window, or is told open and its process was heard
of since."""


class ParquetStore:
    """An `EvidenceStore` on the folder that `why504 receive` writes to; may be used by threads."""

    def __init__(self, folder: Path) -> None:
        self._segments = folder / "segments"
        self._unreadable: set[str] = set()
        self._database = duckdb.connect()
        self._known_heard: tuple[object, dict[str, int]] = None, {}
        """Of which version of the store it is known when processes were heard of."""

    def version(self) -> object:
        """Return the names of the segments: one is never changed, what is new has a new name.

        Raises:
            StoreUnavailable: the segments can't be listed now.
        """
        return tuple(file.name for file in self._files())

    def extent(self) -> Window | None:
        """Return the time covered by what is stored, or None when nothing is.

        Raises:
            StoreUnavailable: the segments can't be read now.
        """
        for start_ns, end_ns in self._query(columns.EXTENT):
            if start_ns is not None:
                return Window(start_ns, end_ns + 1)
        return None

    def evidence(self, window: Window) -> Evidence:
        """Return everything that overlaps `window`, with the whole traces of it, by start.

        Raises:
            StoreUnavailable: the segments can't be read now.
        """
        rows = self._query(_WINDOW, start_ns=window.start_ns, end_ns=window.end_ns)
        return evidence(rows, window, self._heard())

    def sample(self, window: Window, *, slower_than_s: float | None = None) -> Evidence:
        """Return what explains the incidents of `window`: all of it, or if that is much, a part.

        Of a window of over 100,000 rows those requests are chosen that tell most, by chance among
        those alike, and the rest is counted (sampling.py).

        Args:
            window: in which incidents are looked for.
            slower_than_s: which requests are of interest besides those that timed out.

        Raises:
            StoreUnavailable: the segments can't be read now.
        """
        if self._rows(window) <= WHOLE_ROWS:
            return self.evidence(window)
        return Sampling(self._columns, self._query).evidence(window, slower_than_s)

    def _heard(self) -> dict[str, int]:
        """Return when each process was heard of last, by its instance."""
        version = self.version()
        known, heard = self._known_heard
        if known != version:
            heard = dict(self._query(columns.HEARD))
            self._known_heard = version, heard
        return heard

    def _rows(self, window: Window) -> int:
        found = self._query(columns.ROWS, start_ns=window.start_ns, end_ns=window.end_ns)
        return int(found[0][0] or 0) if found else 0

    def trace(self, trace_id: str) -> Evidence:
        """Return everything known of one trace (32 hex digits); empty when it is unknown.

        Raises:
            StoreUnavailable: the segments can't be read now.
        """
        try:
            raw_id = bytes.fromhex(trace_id)
        except ValueError:
            return Evidence(Window(0, 0))
        rows = self._query(_TRACE, trace_id=raw_id)
        if not rows:
            return Evidence(Window(0, 0))
        told = [Row._make(row) for row in rows]
        window = Window(min(row.start_ns for row in told), max(row.end_ns for row in told) + 1)
        return evidence(rows, window, self._heard())

    def newest(self) -> Newest:
        """Return a live reading: of segments that came since the last look."""
        return _Newest(self)

    def newer(self, seen: set[str], window: Window) -> list[Any]:
        """Return the rows that came since the last call, in the columns of `Row`.

        The first call reads what overlaps `window`; later ones read new segments only, and in them
        what ends in it or after it. A row may come again: after a merge of what was never seen.

        Args:
            seen: names of the segments read so far, empty at first; updated here.
            window: what is of interest.

        Raises:
            StoreUnavailable: the segments can't be read now; nothing counts as seen then.
        """
        listed: list[Path] = []

        def read(cursor: Any, files: list[Path]) -> list[Any]:
            listed[:] = files
            if not seen:
                return _all(cursor, files, window)
            return _new(cursor, files, seen, window.start_ns)

        rows = self._reading(read) or []
        # What is listed no longer will never be named as a part again.
        seen.intersection_update(file.name for file in listed)
        seen.update(file.name for file in listed)
        return rows

    def _query(self, sql: str, **values: Any) -> list[Any]:
        def rows(cursor: Any, files: list[Path]) -> list[Any]:
            return list(cursor.execute(sql, _parameters(files, values)).fetchall())

        return self._reading(rows) or []

    def _columns(self, sql: str, **values: Any) -> dict[str, Any]:
        def columns(cursor: Any, files: list[Path]) -> dict[str, Any]:
            # A relation hands its columns over as they are; what was executed is copied first.
            return dict(cursor.sql(sql, params=_parameters(files, values)).fetchnumpy())

        return self._reading(columns) or {}

    def _reading(self, read: Callable[[Any, list[Path]], T]) -> T | None:
        """Have whatever segments there are read, again if one of them vanishes meanwhile."""
        for _ in range(ATTEMPTS):
            files = self._files()
            if not files:
                return None
            try:
                with self._database.cursor() as cursor:
                    return read(cursor, files)
            except duckdb.Error as error:
                failure = error
                self._set_unreadable_aside(files)
        raise StoreUnavailable(f"can't read {self._segments}: {failure}") from failure

    def _files(self) -> list[Path]:
        try:
            before: list[Path] = []
            # Listed until twice the same: one listing may miss both a merged segment and its parts.
            for _ in range(ATTEMPTS):
                files = sorted(self._segments.glob(tables.SEGMENT_GLOB))
                if files == before:
                    break
                before = files
        except OSError as error:
            raise StoreUnavailable(f"can't read {self._segments}: {error}") from error
        return [file for file in files if file.name not in self._unreadable]

    def _set_unreadable_aside(self, files: list[Path]) -> None:
        if not all(file.exists() for file in files):
            return  # merged or deleted meanwhile: what takes its place is listed next time
        for file in files:
            try:
                with self._database.cursor() as cursor:
                    cursor.execute(_PROBE, {"files": [str(file)]}).fetchall()
            except duckdb.Error as error:
                log.warning("segment %s is left out, it can't be read: %s", file, error)
                self._unreadable.add(file.name)


class _Newest:
    """What a folder has that was not read yet."""

    lag_s = 0.0
    """A segment can be read as soon as it is written."""

    def __init__(self, store: ParquetStore) -> None:
        self._store = store
        self._seen: set[str] = set()

    def newer(self, window: Window) -> list[Any]:
        """Return the rows of new segments. Raises as `ParquetStore.newer` does."""
        return self._store.newer(self._seen, window)

    def measured(self) -> None:
        """Return that there are no metrics."""


_PROBE: Final = f"SELECT max(hash({_COLUMNS})) FROM read_parquet($files)"  # noqa: S608, our own columns
"""Reads every column that a query may read."""


def _parameters(files: list[Path], values: dict[str, Any]) -> dict[str, Any]:
    return {"files": [str(file) for file in files], **values}


def _all(cursor: Any, files: list[Path], window: Window) -> list[Any]:
    values = {"start_ns": window.start_ns, "end_ns": window.end_ns}
    found = cursor.execute(_WINDOW, {"files": [str(file) for file in files], **values})
    return list(found.fetchall())


def _new(cursor: Any, files: list[Path], seen: set[str], since_ns: int) -> list[Any]:
    """Return the rows of files not in `seen`; of a merged one those that its new parts may have."""
    unread = [str(file) for file in files if file.name not in seen]
    if not unread:
        return []
    merged = dict(cursor.execute(_MERGED, {"files": unread}).fetchall())
    values: dict[str, Any] = {}
    queries = []
    for number, file in enumerate(unread):
        parts: dict[str, int] = json.loads(merged[file]) if file in merged else {file: since_ns}
        news = [oldest_ns for part, oldest_ns in parts.items() if part not in seen]
        if news:
            queries.append(_SINCE.format(number))
            values |= {f"file{number}": file, f"since{number}": max(since_ns, min(news))}
    return list(cursor.execute(" UNION ALL ".join(queries), values).fetchall()) if queries else []
