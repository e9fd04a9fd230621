"""The batches of a segment as one Arrow table with the columns of `tables.SPANS`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from why504 import tables
from why504.receive import arrays
from why504.receive.attributes import Attributes, Column, attributes
from why504.receive.decode import Batch, Resource, Rows
from why504.receive.pairs import Pairs, as_text


def table(batches: Sequence[Batch], pairs: Pairs) -> pa.Table:
    """Return all rows of the batches, in their order.

    Args:
        pairs: remembers attributes from one call to the next.
    """
    rows = np.concatenate([batch.rows for batch in batches])
    data = pa.py_buffer(b"".join(batch.data for batch in batches))
    begins = np.cumsum([0, *(len(batch.data) for batch in batches)])
    columns = {
        **_fixed(rows),
        "name": _names(rows, data, np.repeat(begins[:-1], [len(batch) for batch in batches])),
        **_resources(told for batch in batches for told in batch.resources),
        **_attributes(attributes(_raw(batches, data, begins), rows["attributes"], pairs)),
    }
    return pa.Table.from_arrays([columns[field.name] for field in schema()], schema=schema())


def _fixed(rows: Rows) -> dict[str, Any]:
    roots = rows["parent_id"] == 0
    ids = {
        "trace_id": arrays.of_type(rows["trace_id"], pa.binary(16)),
        "span_id": arrays.of_type(rows["span_id"], pa.binary(8)),
        "parent_id": arrays.of_type(rows["parent_id"], pa.binary(8), roots),
    }
    kinds = {name: schema().field(name).type for name in ("kind", "status", "start_ns", "end_ns")}
    return ids | {name: arrays.of_type(rows[name], kind) for name, kind in kinds.items()}


def _names(rows: Rows, data: Any, begins: NDArray[np.int64]) -> Any:
    at = rows["name_at"] + begins
    # A name that is missing has no place: the end of the last one that is not is as good as any.
    ends = np.maximum.accumulate(at + rows["name_size"])
    at = np.where(rows["name_size"] > 0, at, ends)
    raw = arrays.slices(data, at, rows["name_size"]).dictionary_encode()
    return _from_texts(arrays.codes(raw), [as_text(name) for name in raw.dictionary.to_pylist()])


def _resources(told: Iterable[tuple[Resource, int]]) -> dict[str, Any]:
    positions: dict[Resource, int] = {}
    each = [(positions.setdefault(one, len(positions)), number) for one, number in told]
    codes = np.repeat(*np.array(each, np.int64).reshape(-1, 2).T)
    return {
        name: _from_texts(codes, [getattr(one, name) for one in positions])
        for name in Resource._fields
    }


def _raw(batches: Sequence[Batch], data: Any, begins: NDArray[np.int64]) -> Any:
    at = [batch.attributes_at + begin for batch, begin in zip(batches, begins, strict=False)]
    sizes = [batch.attributes_size for batch in batches]
    return arrays.slices(data, np.concatenate(at), np.concatenate(sizes))


def _attributes(told: Attributes) -> dict[str, Any]:
    rows = len(told.texts)
    columns = {"attributes": told.texts.dictionary_encode()}
    for column in tables.SPANS:
        if column.attribute:
            lifted = told.lifted.get(column.name) or Column(np.full(rows, -1, np.int32), [])
            columns[column.name] = _LIFTED[column.arrow](lifted, schema().field(column.name).type)
    return columns


def _texts(lifted: Column, _: pa.DataType) -> Any:
    return _from_texts(lifted.codes, lifted.values)


def _span_ids(lifted: Column, kind: pa.DataType) -> Any:
    return _of_width(np.frombuffer(b"".join([*lifted.values, bytes(8)]), "<u8"), lifted, kind)


def _integers(lifted: Column, kind: pa.DataType) -> Any:
    return _of_width(np.array([*lifted.values, 0], f"<i{kind.bit_width // 8}"), lifted, kind)


def _of_width(values: NDArray[Any], lifted: Column, kind: pa.DataType) -> Any:
    # The value that a code of -1 points to is the last one, which is made up.
    return arrays.of_type(values[lifted.codes], kind, lifted.codes < 0)


_LIFTED: Final[dict[str, Callable[[Column, pa.DataType], Any]]] = {
    "dictionary": _texts,
    "binary8": _span_ids,
    "int16": _integers,
    "int32": _integers,
}


def _from_texts(codes: NDArray[Any], values: Sequence[str]) -> Any:
    """Return a dictionary array; texts may repeat among the values, not in the dictionary."""
    positions: dict[str, int] = {}
    moved = [positions.setdefault(value, len(positions)) for value in values]
    encoded = arrays.texts([text.encode("utf-8", "replace") for text in positions])
    return arrays.coded(np.array([*moved, -1], np.int32)[codes], encoded)


_ARROW: Final = {
    "binary16": lambda: pa.binary(16),
    "binary8": lambda: pa.binary(8),
    "dictionary": lambda: pa.dictionary(pa.int32(), pa.string()),
    "int8": pa.int8,
    "int16": pa.int16,
    "int32": pa.int32,
    "int64": pa.int64,
}


@cache
def schema() -> pa.Schema:
    """Return the Arrow schema of `tables.SPANS`."""
    return pa.schema([pa.field(column.name, _ARROW[column.arrow]()) for column in tables.SPANS])
