"""OTLP protobuf to columns, about 4 microseconds a span.

The trick: processes send the same few thousand attributes again and again, so each pair of key and
value is turned into JSON once and remembered by its bytes (see wire.py).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from json.encoder import encode_basestring as _quoted
from typing import Any, Final

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from why504 import names, tables
from why504.errors import NotOtlp
from why504.receive import wire

MEMO_LIMIT: Final = 50_000
MEMO_LONGEST: Final = 512
"""Bytes; longer attributes (stacks, queries) rarely repeat and would fill the memory."""
MEMO_VALUES: Final = 2_000
"""A key with more values than this has as many as there are users: those are not remembered."""
INT64_MAX: Final = 2**63 - 1
ZERO_TRACE: Final = bytes(16)
ZERO_SPAN: Final = bytes(8)
NO_PARENT: Final = (b"", ZERO_SPAN)

Lifted = tuple[str, Any]
"""Column and value of an attribute that has a column of its own."""


Columns = dict[str, list[Any]]


def _columns() -> Columns:
    return {column.name: [] for column in tables.SPANS}


@dataclass(slots=True)
class Batch:
    """The spans of one request, a list a column of `tables.SPANS`, all of one length."""

    columns: Columns = field(default_factory=_columns)
    rejected: int = 0
    """Spans that can't be stored: the others are (OTLP calls it partial success)."""
    reason: str = ""
    """Why the first of them was rejected."""

    def __len__(self) -> int:
        return len(self.columns["span_id"])


class Decoder:
    """Decodes requests one after the other; not for use from two threads at once."""

    def __init__(self) -> None:
        self._attributes: dict[bytes, str | Lifted] = {}
        self._keys: dict[bytes, str] = {}
        self._values: dict[str, int] = {}
        """Key as JSON -> how many values of it were new."""
        self._resources: dict[tuple[bytes, ...], tuple[str, str, str]] = {}

    def decode(self, body: bytes) -> Batch:
        """Return the spans of an ExportTraceServiceRequest in protobuf.

        Raises:
            NotOtlp: the body is something else, or has spans and none of them is valid.
        """
        batch = Batch()
        try:
            for told in wire.message("Request").FromString(body).resource_spans:
                before = len(batch)
                for scope in told.scope_spans:
                    self._add(scope.spans, batch)
                self._add_resource(told.resource.attributes, batch, len(batch) - before)
        except DecodeError as error:
            raise NotOtlp(f"not an ExportTraceServiceRequest in protobuf: {error}") from error
        if batch.rejected and not len(batch):
            raise NotOtlp(f"no valid span: {batch.reason}")
        if max(len(self._attributes), len(self._resources)) > MEMO_LIMIT:
            self._attributes.clear()
            self._resources.clear()
            self._values.clear()
        return batch

    def _add(self, spans: Sequence[Any], batch: Batch) -> None:
        # A list at a time, not a span at a time: half the time of one loop over everything.
        spans = _valid(list(spans), batch)
        columns = batch.columns
        columns["trace_id"] += [span.trace_id for span in spans]
        columns["span_id"] += [span.span_id for span in spans]
        parents = [span.parent_span_id for span in spans]
        columns["parent_id"] += [None if one in NO_PARENT else one for one in parents]
        columns["name"] += [span.name.decode("utf-8", "replace") for span in spans]
        columns["kind"] += [kind if 0 <= (kind := span.kind) <= 5 else 0 for span in spans]
        starts_ns = [span.start_time_unix_nano for span in spans]
        columns["start_ns"] += starts_ns
        # A clock set back while the span was open: an interval must not end before it begins.
        columns["end_ns"] += map(max, starts_ns, [span.end_time_unix_nano for span in spans])
        codes = [span.status.code for span in spans]
        columns["status"] += [code if 0 <= code <= 2 else 0 for code in codes]
        self._add_attributes([span.attributes for span in spans], columns)

    def _add_attributes(self, told: Sequence[Sequence[bytes]], columns: Columns) -> None:
        memo, learn = self._attributes, self._learn
        for name in LIFTED_COLUMNS:
            columns[name] += [None] * len(told)
        for row, attributes in enumerate(told, start=len(columns["attributes"])):
            texts = []
            for raw in attributes:
                known = memo.get(raw) or learn(raw)
                if known.__class__ is str:
                    texts.append(known)
                else:
                    columns[known[0]][row] = known[1]
            columns["attributes"].append(f"{{{','.join(texts)}}}")

    def _learn(self, raw: bytes) -> str | Lifted:
        # Most of what is new are ids in short strings: not worth a message object each, nor memory.
        if short := _short_string(raw):
            key, text = short
            name = self._keys.get(key) or self._name(key)
            if name not in LIFTED:
                seen = self._values[name] = self._values.get(name, 0) + 1
                known = f"{name}:{_quoted(text.decode('utf-8', 'replace'))}"
                if seen <= MEMO_VALUES:
                    self._attributes[raw] = known
                return known
        return self._learn_any(raw)

    def _name(self, key: bytes) -> str:
        """Return a key as JSON; forgets all when a client makes keys up."""
        if len(self._keys) > MEMO_LIMIT:
            self._keys.clear()
            self._values.clear()
        return self._keys.setdefault(key, _quoted(_text(key)))

    def _learn_any(self, raw: bytes) -> str | Lifted:
        pair = wire.message("KeyValue").FromString(raw)
        key, value = _text(pair.key), _value(pair.value)
        known: str | Lifted = f"{_json(key)}:{_json(value)}"
        if key in LIFT:
            column, lift = LIFT[key]
            lifted = lift(value)
            known = known if lifted is None else (column, lifted)
        if len(raw) <= MEMO_LONGEST:
            self._attributes[raw] = known
        return known

    def _add_resource(self, attributes: Iterable[bytes], batch: Batch, spans: int) -> None:
        key = tuple(attributes)
        if key not in self._resources:
            pairs = [wire.message("KeyValue").FromString(raw) for raw in key]
            told = {_text(pair.key): _value(pair.value) for pair in pairs}
            service, instance = told.get(names.SERVICE_NAME), told.get(names.SERVICE_INSTANCE)
            self._resources[key] = (_plain(service), _plain(instance), _json(told))
        for column, value in zip(RESOURCE_COLUMNS, self._resources[key], strict=True):
            batch.columns[column].extend([value] * spans)


RESOURCE_COLUMNS: Final = ("service", "instance", "resource_attributes")


def _valid(spans: list[Any], batch: Batch) -> list[Any]:
    """Return the spans that can be stored, and count the others in the batch."""
    valid = []
    for span in spans:
        if fault := _fault(span):
            batch.rejected += 1
            batch.reason = batch.reason or fault
        else:
            valid.append(span)
    return valid


def _fault(span: Any) -> str:
    """Return why a span can't be stored, for people; empty when it can."""
    trace_id, span_id, parent = span.trace_id, span.span_id, span.parent_span_id
    start_ns, end_ns = span.start_time_unix_nano, span.end_time_unix_nano
    if len(trace_id) != 16 or trace_id == ZERO_TRACE:
        return f"trace_id must be 16 bytes and not all zero, got {trace_id[:20].hex() or 'none'}"
    if len(span_id) != 8 or span_id == ZERO_SPAN:
        return f"span_id must be 8 bytes and not all zero, got {span_id[:20].hex() or 'none'}"
    if parent and len(parent) != 8:
        return f"parent_span_id must be 8 bytes or empty, got {parent[:20].hex()}"
    if not 0 < start_ns <= INT64_MAX or end_ns > INT64_MAX:
        return f"times must lie between 1970 and 2262, got {start_ns} .. {end_ns}"
    return ""


def _short_string(raw: bytes) -> tuple[bytes, bytes] | None:
    """Return key and value of a pair, if that is a string and both are shorter than 128 bytes.

    On the wire: 0A, length, key; 12, length of the rest, 0A, length, value; each length one byte.
    """
    size = len(raw)
    if size < 6 or raw[0] != 0x0A or raw[1] > 0x7F:
        return None
    at = 2 + raw[1]
    left = size - at - 4
    if not 0 <= left < 0x7E or raw[at : at + 4] != bytes((0x12, left + 2, 0x0A, left)):
        return None
    return raw[2:at], raw[at + 4 :]


def _value(value: Any) -> Any:
    """Return an AnyValue as JSON can hold it; bytes as base64, like OpenTelemetry's own mapping."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    told = getattr(value, kind)
    if kind == "string_value":
        return _text(told)
    if kind == "bytes_value":
        return base64.b64encode(told).decode("ascii")
    if kind == "array_value":
        return [_value(one) for one in told.values]
    if kind == "kvlist_value":
        return {_text(pair.key): _value(pair.value) for pair in told.values}
    return told


def _text(told: bytes) -> str:
    return told.decode("utf-8", "replace")


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _lift_text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _lift_span_id(value: Any) -> bytes | None:
    try:
        span_id = bytes.fromhex(value)
    except (TypeError, ValueError):
        return None
    return span_id if len(span_id) == 8 else None


def _lift_int(bits: int) -> Callable[[Any], int | None]:
    def lift(value: Any) -> int | None:
        fits = type(value) is int and -(2 ** (bits - 1)) <= value < 2 ** (bits - 1)
        return value if fits else None

    return lift


_LIFT_BY_ARROW: Final[Mapping[str, Callable[[Any], Any]]] = {
    "dictionary": _lift_text,
    "binary8": _lift_span_id,
    "int16": _lift_int(16),
    "int32": _lift_int(32),
}
LIFT: Final = {
    column.attribute: (column.name, _LIFT_BY_ARROW[column.arrow])
    for column in tables.SPANS
    if column.attribute
}
"""Attribute -> its column and what fits there; what doesn't fit stays among the attributes."""
LIFTED: Final = frozenset(_json(key) for key in LIFT)
"""The same keys as JSON."""
LIFTED_COLUMNS: Final = tuple(column.name for column in tables.SPANS if column.attribute)
