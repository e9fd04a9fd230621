"""OTLP protobuf to rows, a request at a time: checked here, made into columns in table.py.

The trick: nothing is done span by span. protobuf only cuts the request into spans; their fields are
found for all spans at once (walk.py), and texts stay bytes until a segment is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray

from why504 import names
from why504.errors import NotOtlp
from why504.receive import wire
from why504.receive.head import END, KIND, NAME, PARENT_ID, SPAN_ID, START, TRACE_ID, heads
from why504.receive.pairs import Pairs, are_plain, as_text, as_value
from why504.receive.walk import NO_FIELDS, PADDING, Fields, Places, walk
from why504.tables import as_json

RESOURCES_LIMIT: Final = 50_000
INT64_MAX: Final = 2**63 - 1

ROW: Final = np.dtype(
    [
        *(("trace_id", "<u8", 2), ("span_id", "<u8"), ("parent_id", "<u8")),
        *(("kind", "i1"), ("status", "i1"), ("start_ns", "<i8"), ("end_ns", "<i8")),
        *(("name_at", "<i8"), ("name_size", "<i8"), ("attributes", "<i8")),
    ]
)
"""A valid span: ids as their bytes, a parent of 0 is none; where in the batch's data its name is,
and how many attributes it has."""
Rows = NDArray[np.void]


class Resource(NamedTuple):
    """What sent spans, as the table has it."""

    service: str
    instance: str
    resource_attributes: str
    """As JSON."""


def _no_rows() -> Rows:
    return np.zeros(0, ROW)


def _no_places() -> Places:
    return np.zeros(0, np.int64)


@dataclass(slots=True)
class Batch:
    """The spans of one request that can be stored."""

    rows: Rows = field(default_factory=_no_rows)
    """Of the type `ROW`."""
    data: bytes = b""
    """Of the spans in protobuf, one after the other."""
    attributes_at: Places = field(default_factory=_no_places)
    """Where in `data` each attribute of each row begins, in the order of the rows."""
    attributes_size: Places = field(default_factory=_no_places)
    resources: list[tuple[Resource, int]] = field(default_factory=list)
    """Of how many rows each, in the order of the rows."""
    rejected: int = 0
    """Spans that can't be stored: the others are (OTLP calls it partial success)."""
    reason: str = ""
    """Why the first of them was rejected."""

    def __len__(self) -> int:
        return len(self.rows)


class Decoder:
    """Decodes requests one after the other; not for use from two threads at once."""

    def __init__(self) -> None:
        self._pairs = Pairs()
        self._resources: dict[tuple[bytes, ...], Resource] = {}

    def decode(self, body: bytes) -> Batch:
        """Return the spans of an ExportTraceServiceRequest in protobuf.

        Raises:
            NotOtlp: the body is something else, or has spans and none of them is valid.
        """
        spans: list[bytes] = []
        resources: list[tuple[Resource, int]] = []
        try:
            for told in wire.message("Request").FromString(body).resource_spans:
                before = len(spans)
                for scope in told.scope_spans:
                    spans += scope.spans
                resource = self._resource(tuple(told.resource.attributes))
                resources.append((resource, len(spans) - before))
            batch = self._batch(spans, resources)
        except DecodeError as error:
            raise NotOtlp(f"not an ExportTraceServiceRequest in protobuf: {error}") from error
        if batch.rejected and not len(batch):
            raise NotOtlp(f"no valid span: {batch.reason}")
        return batch

    def _resource(self, key: tuple[bytes, ...]) -> Resource:
        if key not in self._resources:
            if len(self._resources) > RESOURCES_LIMIT:
                self._resources.clear()
            pairs = [wire.message("KeyValue").FromString(raw) for raw in key]
            told = {as_text(pair.key): as_value(pair.value) for pair in pairs}
            service, instance = told.get(names.SERVICE_NAME), told.get(names.SERVICE_INSTANCE)
            self._resources[key] = Resource(_plain(service), _plain(instance), as_json(told))
        return self._resources[key]

    def _batch(self, spans: list[bytes], resources: list[tuple[Resource, int]]) -> Batch:
        if not spans:
            return Batch()
        data, fields, status = _walked(spans)
        of, at, size = fields.get(_ATTRIBUTE, NO_FIELDS)
        # As the bytes are, which is by row: the fields come one of each row, then the next.
        order = np.argsort(at, kind="stable")
        of, at, size = of[order], at[order], size[order]
        self._check(data, at, size)
        told = _Columns(data, fields, len(spans))
        rows = told.rows(status)
        rows["attributes"] = np.bincount(of, minlength=len(spans))
        valid = told.valid
        if valid.all():
            return Batch(rows, data, at, size, resources)
        left = np.split(valid, np.cumsum([count for _, count in resources])[:-1])
        resources = [(one, int(n.sum())) for (one, _), n in zip(resources, left, strict=True)]
        wrong = np.flatnonzero(~valid)
        reason = told.fault(int(wrong[0]))
        kept = valid[of]
        return Batch(rows[valid], data, at[kept], size[kept], resources, wrong.size, reason)

    def _check(self, data: bytes, at: Places, size: Places) -> None:
        """Raise DecodeError if an attribute can't be read: the table must never meet one."""
        for one in np.flatnonzero(~are_plain(data, at, size)).tolist():
            self._pairs.known(data[at[one] : at[one] + size[one]])


def _walked(spans: list[bytes]) -> tuple[bytes, dict[int, Fields], NDArray[np.int8]]:
    """Return the spans as one, their fields and their status codes; rewrites those not plain."""
    for _ in range(2):
        sizes = np.fromiter(map(len, spans), np.int64, len(spans))
        ends = np.cumsum(sizes)
        data = b"".join(spans) + PADDING
        known, at = heads(data, ends - sizes, ends)
        fields, odd = walk(data, at, ends)
        fields = _together(known, fields)
        status, unread = _statuses(data, fields.get(_STATUS, NO_FIELDS), len(spans))
        if not odd and not unread:
            return data, fields, status
        for row in {*odd, *unread}:
            spans[row] = wire.rewritten(spans[row])
    raise DecodeError("a span that was written anew is not plain")


def _together(first: dict[int, Fields], then: dict[int, Fields]) -> dict[int, Fields]:
    both = {
        tag: Fields(*(np.concatenate(pair) for pair in zip(first[tag], then[tag], strict=True)))
        for tag in first.keys() & then.keys()
    }
    return {**first, **then, **both}


def _statuses(data: bytes, fields: Fields, rows: int) -> tuple[NDArray[np.int8], list[int]]:
    """Return the status code of each row, and the rows of which it is not told plainly.

    Plain is once, and of: nothing, a code, or a message and then a code.
    """
    codes = np.zeros(rows, np.int8)
    unread = np.flatnonzero(np.bincount(fields.row, minlength=rows) > 1).tolist()
    # Most are empty.
    told = np.flatnonzero(fields.size)
    if not len(told):
        return codes, unread
    raw = np.frombuffer(data, np.uint8)
    row, at, size = (column[told] for column in fields)
    first, second = raw[at], raw[at + 1]
    message = np.where((size > 2) & (first == 0x12) & (second < 0x80), 2 + second.astype(int), 0)
    has_code = size == message + 2
    last = raw[at + np.minimum(message, size)], raw[at + np.minimum(message, size) + 1]
    plain = (size == message) | (has_code & (last[0] == 0x18) & (last[1] < 0x80))
    codes[row] = np.where(has_code & (last[1] <= 2), last[1], 0)
    return codes, unread + row[~plain].tolist()


class _Columns:
    """The fields of many spans that are no attributes; of two of the same the last counts."""

    def __init__(self, data: bytes, fields: dict[int, Fields], rows: int) -> None:
        self._data = data
        self._bytes = np.frombuffer(data, np.uint8)
        self._words = np.ndarray((len(data) - 7,), "<u8", data, strides=(1,))
        self._fields, self._rows = fields, rows
        self.trace_id, self.span_id = self._places(TRACE_ID), self._places(SPAN_ID)
        self.parent_id = self._places(PARENT_ID)
        self.start_ns, self.end_ns = self._times(START), self._times(END)

    def rows(self, status: NDArray[np.int8]) -> Rows:
        """Return all spans, invalid ones too, without the number of attributes."""
        rows = np.zeros(self._rows, ROW)
        rows["trace_id"][:, 0] = self._words[self.trace_id[0]]
        rows["trace_id"][:, 1] = self._words[self.trace_id[0] + 8]
        rows["span_id"] = self._words[self.span_id[0]]
        rows["parent_id"] = np.where(self.parent_id[1] == 8, self._words[self.parent_id[0]], 0)
        at, size = self._places(KIND)
        kind = np.where(size, self._bytes[at], 0)
        rows["kind"] = np.where(kind <= 5, kind, 0)
        rows["status"] = status
        rows["start_ns"] = self.start_ns
        # A clock set back while the span was open: an interval must not end before it begins.
        rows["end_ns"] = np.maximum(self.start_ns, self.end_ns)
        rows["name_at"], rows["name_size"] = self._places(NAME)
        self.valid = (
            (self.trace_id[1] == 16) & (self.span_id[1] == 8) & (rows["span_id"] != 0)
            & ((rows["trace_id"][:, 0] | rows["trace_id"][:, 1]) != 0)
            & ((self.parent_id[1] == 0) | (self.parent_id[1] == 8))
            & (self.start_ns > 0) & (self.start_ns <= INT64_MAX) & (self.end_ns <= INT64_MAX)
        )  # fmt: skip
        return rows

    def fault(self, row: int) -> str:
        """Return why a span can't be stored, for people."""
        ids = [self._data[at[row] : at[row] + size[row]] for at, size in self._ids()]
        trace_id, span_id, parent = (one[:20].hex() for one in ids)
        if len(ids[0]) != 16 or not any(ids[0]):
            return f"trace_id must be 16 bytes and not all zero, got {trace_id or 'none'}"
        if len(ids[1]) != 8 or not any(ids[1]):
            return f"span_id must be 8 bytes and not all zero, got {span_id or 'none'}"
        if len(ids[2]) not in (0, 8):
            return f"parent_span_id must be 8 bytes or empty, got {parent}"
        times = f"{self.start_ns[row]} .. {self.end_ns[row]}"
        return f"times must lie between 1970 and 2262, got {times}"

    def _ids(self) -> Sequence[tuple[Places, Places]]:
        return (self.trace_id, self.span_id, self.parent_id)

    def _places(self, tag: int) -> tuple[Places, Places]:
        at, size = np.zeros((2, self._rows), np.int64)
        row, told_at, told_size = self._fields.get(tag, NO_FIELDS)
        at[row], size[row] = told_at, told_size
        return at, size

    def _times(self, tag: int) -> NDArray[np.uint64]:
        at, size = self._places(tag)
        return np.where(size == 8, self._words[at], np.uint64(0))


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else as_json(value)


# As those in head.py.
_ATTRIBUTE, _STATUS = 0x4A, 0x7A
