"""Columns of the embedded store's one table, shared by its writer (receive) and reader (stores).

A row is a span as it came in; records (why504.kind) are spans too. Snapshots are merged on read.
Ids are raw bytes: 20 % faster to join than hex and half the size (docs/adr/0003-one-table.md).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from why504 import names


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its Arrow type by name, and the span attribute it is lifted from, if any."""

    name: str
    arrow: str
    attribute: str = ""


SPANS: Final = (
    Column("trace_id", "binary16"),
    Column("span_id", "binary8"),
    Column("parent_id", "binary8"),
    Column("name", "dictionary"),
    Column("kind", "int8"),
    Column("start_ns", "int64"),
    Column("end_ns", "int64"),
    Column("status", "int8"),
    Column("service", "dictionary"),
    Column("instance", "dictionary"),
    Column("record", "dictionary", names.KIND),
    Column("resource", "dictionary", names.RESOURCE),
    Column("snapshot_of", "binary8", names.SNAPSHOT_OF),
    Column("sequence", "int32", names.SNAPSHOT_SEQUENCE),
    Column("http_status", "int16", names.HTTP_STATUS),
    Column("attributes", "dictionary"),
    Column("resource_attributes", "dictionary"),
)
"""`kind` and `status` hold OTLP's enum numbers; a null parent_id is a root; `attributes` is a JSON
object of what has no column of its own (lifted attributes are not repeated there)."""

SEGMENT_GLOB: Final = "*.parquet"

MERGED_FROM: Final = "why504.merged_from"
"""Parquet metadata of a merged segment: JSON object of the files whose place it took, each with
the least `end_ns` in it. Who has read some of them finds the others' rows from there on."""


def as_json(value: Any) -> str:
    """Return a value as JSON, as short as can be: so attributes are stored."""
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
    for column in SPANS
    if column.attribute
}
"""Attribute -> its column and what fits there; what doesn't fit stays among the attributes."""
