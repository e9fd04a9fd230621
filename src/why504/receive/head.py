"""The first fields of spans, found without walking: every encoder writes them in one order.

Ids, name, kind and times are half of a span's fields. Where all spans of a request have them, the
only optional one is the parent, and all but the name have a fixed size.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from why504.receive.walk import Fields, Places

TRACE_ID: Final = 0x0A
SPAN_ID: Final = 0x12
PARENT_ID: Final = 0x22
NAME: Final = 0x2A
KIND: Final = 0x30
START: Final = 0x39
END: Final = 0x41
"""Number and wire type of a field of Span, in one byte."""


def heads(data: bytes, begins: Places, ends: Places) -> tuple[dict[int, Fields], Places]:
    """Return the first fields of spans, and where what follows them begins.

    If a single span is not as they usually are, no fields, and the begins.
    """
    if not len(begins) or (ends - begins).min() < _SHORTEST:
        return {}, begins
    # Several bytes at any place: a tag, the length or the value that follows it, the next tag.
    pairs = np.ndarray((len(data) - 1,), "<u2", data, strides=(1,))
    fours = np.ndarray((len(data) - 3,), "<u4", data, strides=(1,))
    has_parent = pairs[begins + 28] == (PARENT_ID | 8 << 8)
    name = begins + (28 + 10 * has_parent)
    named = pairs[name]
    size = (named >> 8).astype(np.int64)
    rest = name + (22 + size)
    kind = np.minimum(rest, ends) - 20
    usual = (
        (pairs[begins] == (TRACE_ID | 16 << 8)) & (pairs[begins + 18] == (SPAN_ID | 8 << 8))
        & (named & 0x80FF == NAME) & (rest <= ends)
        & (fours[kind] & 0xFF80FF == (KIND | START << 16)) & (fours[kind + 11] & 0xFF == END)
    )  # fmt: skip
    if not usual.all():
        return {}, begins
    rows = np.arange(len(begins))
    one, eight = np.full((2, len(begins)), [[1], [8]])
    parents = np.flatnonzero(has_parent)
    return {
        TRACE_ID: Fields(rows, begins + 2, eight * 2),
        SPAN_ID: Fields(rows, begins + 20, eight),
        PARENT_ID: Fields(parents, begins[parents] + 30, eight[parents]),
        NAME: Fields(rows, name + 2, size),
        KIND: Fields(rows, kind + 1, one),
        START: Fields(rows, kind + 3, eight),
        END: Fields(rows, kind + 12, eight),
    }, rest


_SHORTEST: Final = 50
"""Bytes of the fields of fixed size, without a parent, and of a name of no bytes."""
