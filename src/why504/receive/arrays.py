"""Arrow arrays out of numpy's, by their buffers.

`pa.array` would import pandas where that is installed: two seconds of the first flush.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Codes = NDArray[np.int32]
"""Positions in a dictionary; -1 is null."""


def of_type(values: NDArray[Any], kind: pa.DataType, nulls: NDArray[np.bool_] | None = None) -> Any:
    """Return values of one width as an Arrow array of type `kind`, which has that width."""
    buffer = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(kind, len(values), [_valid(nulls), buffer])


def texts(values: Sequence[bytes]) -> Any:
    """Return the values, which are UTF-8, as an Arrow array of strings."""
    offsets = np.zeros(len(values) + 1, np.int32)
    np.cumsum(np.fromiter(map(len, values), np.int32, len(values)), out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(values))]
    return pa.Array.from_buffers(pa.string(), len(values), buffers)


def coded(codes: Codes, dictionary: Any) -> Any:
    """Return a dictionary array of type int32 to string."""
    nulls = codes < 0
    index = of_type(np.maximum(codes, 0), pa.int32(), nulls if nulls.any() else None)
    return pa.DictionaryArray.from_arrays(index, dictionary)


def slices(data: Any, at: NDArray[np.int64], size: NDArray[np.int64]) -> Any:
    """Return pieces of a buffer as an Arrow array of bytes.

    Args:
        at: where each piece begins; pieces follow each other and don't overlap.
    """
    offsets = np.stack((at, at + size), axis=1).astype(np.int32).reshape(-1)
    if not len(offsets):
        return pa.Array.from_buffers(pa.binary(), 0, [None, pa.py_buffer(bytes(4)), data])
    # What lies between two pieces is an element too: so nothing is copied but what is taken.
    both = pa.Array.from_buffers(pa.binary(), len(offsets) - 1, [None, pa.py_buffer(offsets), data])
    return both.take(of_type(np.arange(0, len(offsets) - 1, 2), pa.int64()))


def places(array: Any) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Return begins and sizes of the values of an Arrow array, in its bytes; 16 more follow."""
    _, offsets, data = array.buffers()
    bounds = np.frombuffer(offsets, np.int32)[array.offset :][: len(array) + 1].astype(np.int64)
    raw = np.zeros(int(bounds[-1]) + 16, np.uint8)
    raw[: bounds[-1]] = np.frombuffer(data or b"", np.uint8)[: bounds[-1]]
    return raw, bounds[:-1], np.diff(bounds)


def codes(array: Any) -> Codes:
    """Return the positions in the dictionary of a dictionary array without nulls."""
    index = array.indices
    if not len(index):
        return np.zeros(0, np.int32)
    return np.frombuffer(index.buffers()[1], np.int32)[index.offset :][: len(index)]


def as_strings(array: Any) -> Any:
    """Return an Arrow array of bytes, which are UTF-8, as one of strings; nothing is copied."""
    return pa.Array.from_buffers(pa.string(), len(array), array.buffers(), offset=array.offset)


def scalar(text: bytes) -> Any:
    """Return one value, of bytes, for Arrow's functions; they would make it with `pa.array`."""
    return texts([text]).cast(pa.binary())[0]


def _valid(nulls: NDArray[np.bool_] | None) -> Any:
    return None if nulls is None else pa.py_buffer(np.packbits(~nulls, bitorder="little"))
