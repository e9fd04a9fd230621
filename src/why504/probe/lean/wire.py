"""Attributes as OTLP writes them: protobuf by hand, held to the stock encoder by a test.

What repeats is encoded once: the bytes of a pair of key and value are kept while there is room.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Mapping, Sequence
from types import NoneType
from typing import Any, Final

from opentelemetry.util.types import AttributeValue

_MOST_KEPT: Final = 2048
"""Pairs whose bytes are kept; when there are more, all are forgotten."""
_LONGEST_KEPT: Final = 2100
"""Characters of a value that is kept: a statement of SQL is cut at 2,000."""
_INT64: Final = range(-(1 << 63), 1 << 63)
_double: Final = struct.Struct("<d").pack

_log = logging.getLogger(__name__)


def varint(number: int) -> bytes:
    """Return an unsigned number as protobuf writes it; a negative one as 64 bits."""
    if 0 <= number < 0x80:
        return _SMALL[number]
    number &= 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


_SMALL: Final = [bytes((number,)) for number in range(0x80)]


def block(tag: bytes, body: bytes) -> bytes:
    """Return a field that holds bytes, text or a message."""
    return tag + varint(len(body)) + body


def text(tag: bytes, value: str) -> bytes:
    """Return a field of text; what can't be written as UTF-8 becomes a question mark."""
    return block(tag, value.encode("utf-8", "replace"))


class Prepared(dict[str, AttributeValue]):
    """Attributes of many spans: plain and few, encoded once, and never changed."""

    __slots__ = ("base", "more", "wire")

    base: Prepared | None
    """What is the same for many spans, where these are for one: only that is encoded."""
    more: dict[str, AttributeValue]
    """What the one has besides."""

    def __init__(self, attributes: Mapping[str, AttributeValue]) -> None:
        super().__init__(attributes)
        self.base = None
        self.wire = encode_attributes(attributes)
        """As a span's attributes."""

    def plus(self, more: dict[str, AttributeValue]) -> Prepared:
        """Return these and a few more, for one span."""
        joined = Prepared.__new__(Prepared)
        joined.update(self)
        joined.update(more)
        joined.base, joined.more = self, more
        return joined


class Attributes:
    """Encodes attributes as a repeated field of `KeyValue`.

    Args:
        tag: of the field: 9 in a span, 3 in an event, 4 in a link, 1 in a resource.
    """

    def __init__(self, tag: bytes) -> None:
        self._tag = tag
        self._kept: dict[tuple[str, object, type], bytes] = {}

    def encode(self, attributes: Mapping[str, AttributeValue]) -> bytes:
        """Return all of them, in their order."""
        kept = self._kept
        encoded = []
        for key, value in attributes.items():
            kind = value.__class__
            try:
                encoded.append(kept[key, value, kind])
            except (KeyError, TypeError):  # a list has no hash
                encoded.append(self._pair(key, value, kind))
        return b"".join(encoded)

    def _pair(self, key: str, value: object, kind: type) -> bytes:
        try:
            pair = block(b"\x0a", key.encode()) + block(b"\x12", any_value(value))
        except (TypeError, ValueError) as error:
            _log.warning("attribute %r can't be sent: %s", key, error)
            return b""
        encoded = block(self._tag, pair)
        if kind in _KEPT and (kind is not str or len(value) <= _LONGEST_KEPT):  # type: ignore[arg-type]
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[key, value, kind] = encoded
        return encoded


_KEPT: Final = frozenset({str, bool, int})
"""Kinds whose equal values have equal bytes; 0.0 and -0.0 have not."""


_of_spans: Final = Attributes(b"\x4a")
encode_attributes: Final = _of_spans.encode
"""Encodes the attributes of a span."""


def any_value(value: object) -> bytes:
    """Return the body of an `AnyValue`.

    Raises:
        TypeError: OTLP has no such value.
        ValueError: it does not fit: an integer of more than 64 bits, half a surrogate pair.
    """
    for kind, encode in _BY_KIND:
        if isinstance(value, kind):
            return encode(value)
    raise TypeError(f"OTLP has no {type(value).__name__}")


def _int(value: int) -> bytes:
    if value not in _INT64:
        raise ValueError("an integer of more than 64 bits")
    return b"\x18" + varint(value)


def _array(values: Sequence[object]) -> bytes:
    return block(b"\x2a", b"".join(block(b"\x0a", any_value(one)) for one in values))


def _map(values: Mapping[object, object]) -> bytes:
    pairs = (
        block(b"\x0a", str(key).encode()) + block(b"\x12", any_value(value))
        for key, value in values.items()
    )
    return block(b"\x32", b"".join(block(b"\x0a", pair) for pair in pairs))


_BY_KIND: Final[tuple[tuple[type, Callable[[Any], bytes]], ...]] = (
    (str, lambda value: block(b"\x0a", value.encode())),
    (bool, lambda value: b"\x10\x01" if value else b"\x10\x00"),
    (int, _int),
    (float, lambda value: b"\x21" + _double(value)),
    (bytes, lambda value: block(b"\x3a", value)),
    (NoneType, lambda value: b""),
    (Sequence, _array),
    (Mapping, _map),
)
"""The first that fits; a bool is an int too, and text a sequence."""
