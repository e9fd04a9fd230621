"""Black boxes as the probe leaves them: read alone, or into a store that may know part of it.

A record or snapshot has a span id of its own, so what is stored already is known by trace and span
id: importing again stores nothing new.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from why504 import tables
from why504.errors import NotOtlp, UnknownFormat
from why504.probe.blackbox import folder as places
from why504.probe.blackbox.dumped import Dumped, dumped
from why504.probe.blackbox.frames import MARK, METRICS, PROCESS, SPANS, frames
from why504.probe.telling.records import readable
from why504.receive import wire
from why504.receive.decode import Batch, Decoder
from why504.receive.spool import Spool


@dataclass(slots=True)
class Box:
    """What one file of a black box holds."""

    path: Path
    process: dict[str, Any] = field(default_factory=dict)
    """Whose it is: `pid`, `service`, `instance`; empty where that frame is torn."""
    metrics: str = ""
    """What /metrics answered last; empty if it never was written."""
    requests: list[bytes] = field(default_factory=list)
    """In OTLP protobuf."""


def is_box(path: Path) -> bool:
    """Return whether a file begins like a black box, or is called like one."""
    if path.name.endswith((places.SUFFIX, places.DUMP_SUFFIX, places.EXIT_SUFFIX)):
        return True
    with suppress(OSError), path.open("rb") as file:
        return file.read(len(MARK)) == MARK
    return False


def parts(place: Path) -> Sequence[Path]:
    """Return the files at a place, a file or a folder of them, oldest first.

    Raises:
        UnknownFormat: there is none, or it can't be read.
    """
    if not place.is_dir():
        return [place]
    try:
        found = [part for box in places.boxes(place).values() for part in box]
        found += [path for path in places.dumps(place) if places.is_taken(path)]
        found += [path for path in places.exits(place) if places.is_taken(path)]
    except OSError as error:
        raise UnknownFormat(f"can't read {place}: {error.strerror}") from error
    if not found:
        raise UnknownFormat(f"{place} has no black box in it (*{places.SUFFIX})")
    return found


def kept(path: Path) -> Dumped | None:
    """Return what a file tells of who kept the GIL; None if it is no dump, or none was taken."""
    is_dump = path.name.endswith((places.DUMP_SUFFIX, places.EXIT_SUFFIX))
    return dumped(path) if is_dump else None


def read(path: Path) -> Box:
    """Return what a file holds; what is torn in it is left out.

    Raises:
        UnknownFormat: the file can't be read, or has not one whole frame.
    """
    if found := kept(path):
        return Box(path, dict(found.process), requests=[_stall(found)])
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnknownFormat(f"can't read {path}: {error.strerror}") from error
    box, whole = Box(path), 0
    for kind, body in frames(data):
        whole += 1
        if kind == SPANS:
            box.requests.append(body)
        elif kind == METRICS:
            box.metrics = body.decode("utf-8", errors="replace")
        elif kind == PROCESS:
            with suppress(ValueError):
                told = json.loads(body)
                box.process = told if isinstance(told, dict) else {}
    if not whole:
        raise UnknownFormat(f"{path} has not one whole frame: it is no black box")
    return box


def _stall(found: Dumped) -> bytes:
    """Return the stall of a process that could not tell it, as it would have."""
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    # Until when it went on is not known where the process was killed from outside.
    record = found.record(found.taken_ns, 0 if "ended" in found.process else 1)
    return bytes(encode_spans([readable(record, found.resource())]).SerializeToString())


def batches(box: Box, decoder: Decoder) -> Iterator[tuple[bytes, Batch]]:
    """Yield each request of a box that can be read, beside its spans."""
    for body in box.requests:
        with suppress(NotOtlp):
            yield body, decoder.decode(body)


@dataclass(slots=True)
class Imported:
    """What came out of a box."""

    new: int = 0
    known: int = 0
    """Spans and records that the store had already."""


class Importing:
    """Boxes into the store of a spool; what one call stored the next one knows."""

    def __init__(self, folder: Path, spool: Spool) -> None:
        self._segments = folder / "segments"
        self._spool = spool
        self._decoder = Decoder()
        self._stored: set[bytes] = set()
        """By this importing: it may not be in a segment yet."""

    def add(self, box: Box) -> Imported:
        """Store what is not known yet; durable when this returns.

        Raises:
            StoreUnavailable: the store can't be written to now.
        """
        told = list(batches(box, self._decoder))
        keys = {key for _, batch in told for key in _keys(batch)}
        known = self._stored & keys
        known |= _known(self._segments, keys - known)
        imported = Imported()
        for body, batch in told:
            new = [key for key in _keys(batch) if key not in known]
            imported.known += len(batch) - len(new)
            if new:
                kept = body if len(new) == len(batch) else _without(body, known)
                self._spool.add(kept, self._decoder.decode(kept)).result()
                imported.new += len(new)
            known.update(new)
        self._stored |= keys
        return imported


def _keys(batch: Batch) -> list[bytes]:
    rows = batch.rows
    pairs = zip(rows["trace_id"], rows["span_id"], strict=True)
    return [trace_id.tobytes() + span_id.tobytes() for trace_id, span_id in pairs]


def _known(segments: Path, keys: set[bytes]) -> set[bytes]:
    """Return those of the keys that some segment has."""
    if not keys:
        return set()
    wanted = pa.array({key[16:] for key in keys}, pa.binary(8))
    found: set[bytes] = set()
    for path in sorted(segments.glob(tables.SEGMENT_GLOB)):
        # A segment that is merged or deleted meanwhile has passed its rows on, or they were old.
        with suppress(OSError, pa.ArrowException):
            for group in pq.ParquetFile(path).iter_batches(columns=["trace_id", "span_id"]):
                rows = group.filter(pc.is_in(group["span_id"], wanted))
                ids = zip(rows["trace_id"].to_pylist(), rows["span_id"].to_pylist(), strict=True)
                found.update(trace_id + span_id for trace_id, span_id in ids)
    return found & keys


def _without(body: bytes, known: set[bytes]) -> bytes:
    """Return a request without the spans that are known."""
    request = wire.message("Request").FromString(body)
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            new = [span for span in scope.spans if _key(span) not in known]
            del scope.spans[:]
            scope.spans.extend(new)
    return bytes(request.SerializeToString())


def _key(raw: bytes) -> bytes:
    with suppress(DecodeError):
        span = wire.message("Span").FromString(raw)
        return bytes(span.trace_id + span.span_id)
    return b""
