"""Attributes: pairs of key and value in protobuf, to JSON or to a column of their own.

Most are short strings, which are read without protobuf and many at a time (`strings`); others are
read one by one (`Pairs`) and remembered by their bytes, since they come again and again.
"""

from __future__ import annotations

import base64
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from why504.receive import wire
from why504.receive.walk import Places
from why504.tables import LIFT, as_json

MEMO_LIMIT: Final = 50_000
MEMO_LONGEST: Final = 512
"""Bytes; longer attributes (stacks, queries) rarely repeat and would fill the memory."""

Lifted = tuple[str, Any]
"""Column and value of an attribute that has a column of its own."""


class Pairs:
    """What attributes mean, by their bytes; for one thread at a time."""

    def __init__(self) -> None:
        self._memo: dict[bytes, str | Lifted] = {}

    def __len__(self) -> int:
        """Return how many are remembered."""
        return len(self._memo)

    def known(self, raw: bytes) -> str | Lifted:
        """Return key and value as JSON has them in an object, or the column and its value.

        Raises:
            DecodeError: not a pair in protobuf.
        """
        return self._memo.get(raw) or self._learn(raw)

    def _learn(self, raw: bytes) -> str | Lifted:
        pair = wire.message("KeyValue").FromString(raw)
        key, value = as_text(pair.key), as_value(pair.value)
        known: str | Lifted = f"{as_json(key)}:{as_json(value)}"
        if key in LIFT:
            column, lift = LIFT[key]
            lifted = lift(value)
            known = known if lifted is None else (column, lifted)
        if len(raw) <= MEMO_LONGEST:
            if len(self._memo) >= MEMO_LIMIT:
                self._memo.clear()
            self._memo[raw] = known
        return known


class Strings(NamedTuple):
    """Which pairs are strings of under 128 bytes, and where key and value of those are."""

    are: NDArray[np.bool_]
    key_at: Places
    key_size: Places
    value_at: Places
    value_size: Places


def strings(raw: NDArray[np.uint8], at: Places, size: Places) -> Strings:
    """Find the pairs that are short strings; the places of others mean nothing.

    On the wire: 0A, length, key; 12, length of the rest, 0A, length, value; each length one byte.

    Args:
        raw: the buffer, with 16 bytes after the last pair.
        at: where each pair begins; `size` is that of the pair.
    """
    pairs = np.ndarray((len(raw) - 1,), "<u2", raw, strides=(1,))
    fours = np.ndarray((len(raw) - 3,), "<u4", raw, strides=(1,))
    head = pairs[at]
    key_size = (head >> 8).astype(np.int64)
    value_size = size - key_size - 6
    second = np.minimum(at + 2 + key_size, at + size)
    are = (head & 0x80FF == 0x0A) & (value_size >= 0) & (value_size < 0x7E)
    are &= fours[second] == 0x0A_02_12 + value_size * 0x01_00_01_00
    return Strings(are, at + 2, key_size, second + 4, value_size)


def are_plain(data: bytes, at: Places, size: Places) -> NDArray[np.bool_]:
    """Return which pairs are certainly readable: short strings, and what fits into few bytes."""
    raw = np.frombuffer(data, np.uint8)
    plain = strings(raw, at, size).are
    others = np.flatnonzero(~plain)
    _, second, left = _split(raw, at[others], size[others])
    kind, first, next_ = raw[second + 2], raw[second + 3], raw[second + 4]
    # Booleans and integers of one or two bytes, floating point numbers.
    one = (left == 0) & ((kind == 0x10) | (kind == 0x18)) & (first < 0x80)
    two = (left == 1) & (kind == 0x18) & (first >= 0x80) & (next_ < 0x80)
    eight = (left == 7) & (kind == 0x21)
    plain[others] = one | two | eight
    return plain


def _split(raw: NDArray[np.uint8], at: Places, size: Places) -> tuple[Places, Places, Places]:
    """Return the size of each key, where what follows it begins, and how long the value is.

    That length is -1 where the frame around key and value is any other than that of `strings`.
    """
    key_size = raw[at + 1].astype(np.int64)
    left = size - key_size - 6
    framed = (left >= 0) & (left < 0x7E) & (raw[at] == 0x0A) & (key_size < 0x80)
    second = np.where(framed, at + 2 + key_size, at)
    framed &= (raw[second] == 0x12) & (raw[second + 1] == left + 2)
    return key_size, second, np.where(framed, left, -1)


def as_value(value: Any) -> Any:
    """Return an AnyValue as JSON can hold it; bytes as base64, like OpenTelemetry's own mapping."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    told = getattr(value, kind)
    if kind == "string_value":
        return as_text(told)
    if kind == "bytes_value":
        return base64.b64encode(told).decode("ascii")
    if kind == "array_value":
        return [as_value(one) for one in told.values]
    if kind == "kvlist_value":
        return {as_text(pair.key): as_value(pair.value) for pair in told.values}
    return told


def as_text(told: bytes) -> str:
    """Return a string; what is not UTF-8 in it is replaced."""
    return told.decode("utf-8", "replace")
