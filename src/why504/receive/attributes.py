"""The attributes of all spans of a segment: JSON texts, and columns of their own.

Each different attribute is turned into JSON once; those that are short strings, which ids are, all
in a few calls of Arrow. Then each span's texts are joined, also by Arrow.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from why504 import tables
from why504.receive import arrays
from why504.receive.arrays import Codes
from why504.receive.pairs import Lifted, Pairs, as_text, strings
from why504.receive.walk import Places
from why504.tables import LIFT


class Column(NamedTuple):
    """Values that were lifted out of attributes."""

    codes: Codes
    """For each row the position of its value, or -1."""
    values: list[Any]


class Attributes(NamedTuple):
    """Of some rows."""

    texts: Any
    """Arrow array: each row's JSON object, of what is not lifted."""
    lifted: dict[str, Column]
    """By column name."""


class _Different(NamedTuple):
    """Each different attribute."""

    texts: Any
    """Arrow array of bytes: key and value as in a JSON object; nothing where it is lifted."""
    lifted: dict[int, Lifted]
    """By position."""


def attributes(raw: Any, counts: Places, pairs: Pairs) -> Attributes:
    """Return what the attributes of rows are.

    Args:
        raw: Arrow array of all attributes in protobuf, row after row.
        counts: how many each row has.
    """
    encoded = raw.dictionary_encode()
    codes = arrays.codes(encoded)
    different = _different(encoded.dictionary, pairs)
    lifted: dict[str, Column] = {}
    if different.lifted:
        rows = np.repeat(np.arange(len(counts)), counts)
        lifted = _columns(different.lifted, codes, rows, len(counts))
        stays = np.ones(len(encoded.dictionary), np.bool_)
        stays[list(different.lifted)] = False
        kept = stays[codes]
        codes = codes[kept]
        counts = np.bincount(rows[kept], minlength=len(counts))
    bounds = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
    told = different.texts.take(arrays.of_type(codes, pa.int32()))
    lists = pa.ListArray.from_arrays(arrays.of_type(bounds, pa.int32()), told)
    joined = _joined(b"{", pc.binary_join(lists, arrays.scalar(b",")), b"}")
    return Attributes(arrays.as_strings(joined), lifted)


def _columns(
    lifted: dict[int, Lifted], codes: Codes, rows: Places, number: int
) -> dict[str, Column]:
    columns = {
        c.name: Column(np.full(number, -1, np.int32), []) for c in tables.SPANS if c.attribute
    }
    size = max(lifted) + 1
    for name, column in columns.items():
        positions: dict[Any, int] = {}
        of_code = np.full(max(size, int(codes.max()) + 1), -1, np.int32)
        for code, (place, value) in lifted.items():
            if place == name:
                of_code[code] = positions.setdefault(value, len(positions))
        told = of_code[codes]
        found = told >= 0
        column.codes[rows[found]] = told[found]
        column.values.extend(positions)
    return columns


def _different(raw: Any, pairs: Pairs) -> _Different:
    """Return the meaning of attributes that are all different."""
    if not len(raw):
        return _Different(raw, {})
    data, at, size = arrays.places(raw)
    told = strings(data, at, size)
    quick = np.flatnonzero(told.are)
    key_at, key_size = told.key_at[quick], told.key_size[quick]
    value_at, value_size = told.value_at[quick], told.value_size[quick]
    # How many bytes before each place can't stand in JSON as they are.
    escaped = np.concatenate(([0], np.cumsum(_ESCAPED[data])))
    clean = escaped[key_at + key_size] == escaped[key_at]
    clean &= escaped[value_at + value_size] == escaped[value_at]
    buffer = pa.py_buffer(data)
    keys = arrays.slices(buffer, key_at, key_size).dictionary_encode()
    clean &= _stays(keys.dictionary)[arrays.codes(keys)]
    kept = arrays.of_type(np.flatnonzero(clean), pa.int64())
    values = arrays.slices(buffer, value_at, value_size)
    quoted = _joined(b'"', keys.dictionary_decode().take(kept), b'":"', values.take(kept), b'"')
    return _with_others(raw, quick[clean], quoted, pairs)


def _with_others(raw: Any, quick: Places, quoted: Any, pairs: Pairs) -> _Different:
    is_other = np.ones(len(raw), np.bool_)
    is_other[quick] = False
    others = np.flatnonzero(is_other)
    found: list[bytes] = []
    lifted: dict[int, Lifted] = {}
    for place in others.tolist():
        known = pairs.known(raw[place].as_py())
        if isinstance(known, str):
            found.append(known.encode("utf-8", "replace"))
        else:
            found.append(b"")
            lifted[place] = known
    order = np.empty(len(raw), np.int64)
    order[quick] = np.arange(len(quick))
    order[others] = np.arange(len(quick), len(raw))
    both = pa.concat_arrays([quoted, arrays.texts(found).cast(pa.binary())])
    return _Different(both.take(arrays.of_type(order, pa.int64())), lifted)


def _joined(*parts: Any) -> Any:
    """Return Arrow arrays, and bytes that are the same in each value, as one array."""
    told = [arrays.scalar(part) if isinstance(part, bytes) else part for part in parts]
    return pc.binary_join_element_wise(*told, arrays.scalar(b""))


def _stays(keys: Any) -> NDArray[np.bool_]:
    """Return of which keys the values have no column of their own."""
    told = (as_text(key) not in LIFT for key in keys.to_pylist())
    return np.fromiter(told, np.bool_, len(keys))


def _needs_escape(byte: int) -> bool:
    return byte < 0x20 or byte >= 0x7F or byte in b'"\\'


_ESCAPED: Final = np.array([_needs_escape(byte) for byte in range(256)], np.int64)
"""1 for each byte that is no plain ASCII: UTF-8 would have to be checked."""
