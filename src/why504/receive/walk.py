"""Where the fields of many protobuf messages are, found for all messages at once.

A step reads one field of every message, as numpy arrays: a dozen calls for 512 fields, where a loop
would take a dozen for each. The last few messages of many fields are read one by one.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

PADDING: Final = bytes(16)
"""Has to follow the messages, so that a value that is cut off is still inside the buffer."""
FEW: Final = 16
"""Messages; reading one field of fewer than these is quicker without arrays."""
Places = NDArray[np.int64]


class Fields(NamedTuple):
    """All fields of one number; of those in one message the last one comes last."""

    row: Places
    """Which message."""
    at: Places
    """Where its value begins, after tag and length; bytes from the begin of the buffer."""
    size: Places
    """Bytes of the value."""


def walk(data: bytes, begins: Places, ends: Places) -> tuple[dict[int, Fields], list[int]]:
    """Return the fields of the messages in `data`, and the rows that are not plain.

    Fields by number and wire type, as protobuf has them in one byte (of two, by the first).

    Plain is what all encoders write: numbers of fields below 16 (and 16 itself, of four bytes),
    varints of one byte, no groups. Of other rows, broken ones too, some fields may be missing.

    Args:
        begins: of each message; ends likewise. `PADDING` follows the last.
    """
    # Two bytes at any place: the tag and what follows it tell how long most fields are.
    pairs = np.ndarray((len(data) - 1,), "<u2", data, strides=(1,))
    lengths = np.frombuffer(_lengths(), np.uint8)
    found: list[tuple[NDArray[Any], ...]] = []
    odd: set[int] = set()
    row = np.flatnonzero(begins < ends)
    at, end = begins[row], ends[row]
    while row.size >= FEW:
        head = pairs[at]
        length: NDArray[Any] = lengths.take(head)
        if not length.all():
            length = _with_long(data, at, length, end)
        found.append((row, at, length, head))
        at = at + length
        if not (alive := at < end).all():
            odd.update(row[at > end].tolist())
            row, at, end = row[alive], at[alive], end[alive]
    for one in zip(row.tolist(), at.tolist(), end.tolist(), strict=True):
        found.append(tuple(np.array(_walk_one(data, *one, odd), np.int64).T))
    return _by_tag(data, found), sorted(odd)


def _with_long(data: bytes, at: Places, length: NDArray[np.uint8], end: Places) -> Places:
    """Return the lengths of fields, of long ones too; one that is not plain is past the end."""
    told = length.astype(np.int64)
    for one in np.flatnonzero(length == 0).tolist():
        told[one] = sum(_long(data, int(at[one]))) or end[one] + 1
    return told


def _walk_one(data: bytes, row: int, at: int, end: int, odd: set[int]) -> list[tuple[int, ...]]:
    lengths = _lengths()
    fields: list[tuple[int, ...]] = []
    while at < end:
        head = data[at] | data[at + 1] << 8
        length = lengths[head] or sum(_long(data, at)) or end + 1
        fields.append((row, at, length, head))
        at += length
    if at > end:
        odd.add(row)
    return fields


def _by_tag(data: bytes, found: list[tuple[NDArray[Any], ...]]) -> dict[int, Fields]:
    steps: dict[int, list[tuple[NDArray[Any], ...]]] = {}
    for step in found:
        tags = step[-1].astype(np.uint8)
        # All messages often have the same field in the same place.
        if (tags == tags[0]).all():
            steps.setdefault(int(tags[0]), []).append(step)
            continue
        for tag in np.flatnonzero(np.bincount(tags)).tolist():
            those = np.flatnonzero(tags == tag)
            steps.setdefault(tag, []).append(tuple(column[those] for column in step))
    return {
        tag: _fields(data, tag, *map(np.concatenate, zip(*told, strict=True)))
        for tag, told in steps.items()
    }


def _fields(
    data: bytes, tag: int, row: Places, at: Places, length: Places, head: NDArray[Any]
) -> Fields:
    """Return what is known of one tag, without tags and lengths."""
    if tag & 7 != _LENGTHED:
        return Fields(row, at + 1, length - 1)
    before = np.full(len(at), 2)
    for one in np.flatnonzero(head > _SHORT).tolist():
        before[one] = _long(data, int(at[one]))[0]
    return Fields(row, at + before, length - before)


def _long(data: bytes, at: int) -> tuple[int, int]:
    """Return the bytes of tag and length of a field of over 127 bytes, and its size; or zeros."""
    if not 8 <= data[at] < 0x80 or data[at] & 7 != _LENGTHED:
        return 0, 0
    size = 0
    for place in range(4):
        told = data[at + 1 + place]
        size |= (told & 0x7F) << 7 * place
        if told < 0x80:
            return 2 + place, size
    return 0, 0


@cache
def _lengths() -> bytes:
    """Return the length of a field, tag and all, by its first two bytes (the first is the lower).

    0 is not known from these: the field is longer than 127 bytes, or not plain.
    """
    table = bytearray(2**16)
    for tag in range(8, 128):
        for next_ in range(256):
            fixed = _FIXED.get(tag & 7, 0)
            told = fixed or (next_ < 128) * (2 + (tag & 7 == _LENGTHED) * next_)
            table[tag | next_ << 8] = told if tag & 7 in _PLAIN else 0
    table[_FLAGS] = 6
    return bytes(table)


_SHORT: Final = 0x7FFF
"""The first two bytes of a field whose length is told in one byte are no more than this."""
_LENGTHED: Final = 2
"""The wire type of strings and messages."""
_FIXED: Final = {1: 9, 5: 5}
"""Wire type -> length of the field, tag and all."""
_PLAIN: Final = (0, 1, 2, 5)
"""Wire types: varints, and these; 3 and 4 are groups."""
_FLAGS: Final = 0x0185
"""Tag of field 16, fixed32: the flags of a span."""
NO_FIELDS: Final = Fields(*np.zeros((3, 0), np.int64))
