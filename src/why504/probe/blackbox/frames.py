"""Frames of a black box: whatever is torn or overwritten costs the frames it hit, no others.

A frame is a mark, its kind (1 byte), length and CRC-32 of what follows (little-endian u32 each),
then the body, compressed by zlib. A reader that meets anything else looks for the next mark, for
the writer may have died, or the disk have been full, in the midst of any of them.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

MARK: Final = b"\xf5504"
"""No UTF-8 and no beginning of a protobuf message of ours."""
PROCESS: Final = 1
"""JSON: whose file it is; the first frame of each."""
SPANS: Final = 2
"""An ExportTraceServiceRequest in protobuf."""
METRICS: Final = 3
"""What /metrics answered, as text."""
BODY_LIMIT: Final = 64 * 2**20
"""Bytes of a body; a frame that claims more is none."""
_HEAD: Final = struct.Struct("<4sBII")


class Frame(NamedTuple):
    """One whole frame."""

    kind: int
    body: bytes


def pack(kind: int, body: bytes) -> bytes:
    """Return the frame of a body."""
    packed = zlib.compress(body, 1)
    return _HEAD.pack(MARK, kind, len(packed), _checksum(kind, packed)) + packed


def frames(data: bytes) -> Iterator[Frame]:
    """Yield every whole frame of a file's bytes, in order; never raises."""
    at = data.find(MARK)
    while 0 <= at <= len(data) - _HEAD.size:
        _, kind, size, checksum = _HEAD.unpack_from(data, at)
        begin = at + _HEAD.size
        packed = data[begin : begin + size] if size <= BODY_LIMIT else b""
        if len(packed) == size and _checksum(kind, packed) == checksum:
            body = _unpacked(packed)
            if body is not None:
                yield Frame(kind, body)
            at = data.find(MARK, begin + size)
        else:
            at = data.find(MARK, at + 1)


def _checksum(kind: int, packed: bytes) -> int:
    return zlib.crc32(packed, kind)


def _unpacked(packed: bytes) -> bytes | None:
    stream = zlib.decompressobj()
    try:
        body = stream.decompress(packed, BODY_LIMIT)
    except zlib.error:
        return None
    return body if stream.eof else None
