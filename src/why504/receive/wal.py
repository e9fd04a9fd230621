"""Write-ahead files: what was acknowledged and is not in a segment yet.

A file is a run of frames: length and CRC-32 (little-endian u32 each), then the body of a request in
OTLP protobuf. Nothing follows a bad frame: a writer that failed never writes to that file again.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

_FRAME: Final = struct.Struct("<II")


class Wal:
    """One write-ahead file, written by one thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.broken = False
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        self._durable = 0
        sync_folder(path.parent)

    def append(self, bodies: Sequence[bytes]) -> None:
        """Write the bodies and return once they are on disk; all of them or, on OSError, none."""
        frames = b"".join(
            part for body in bodies for part in (_FRAME.pack(len(body), zlib.crc32(body)), body)
        )
        try:
            view = memoryview(frames)
            while view:
                view = view[os.write(self._file, view) :]
            os.fdatasync(self._file)
        except OSError:
            # What a failed fsync leaves behind is unknown, so this file is never written again.
            self.broken = True
            with suppress(OSError):
                os.ftruncate(self._file, self._durable)
            raise
        self._durable += len(frames)

    def close(self) -> None:
        """Give the file handle back; the file stays."""
        os.close(self._file)


def bodies(path: Path) -> Iterator[bytes]:
    """Yield every whole body of a write-ahead file, in order; a torn tail is left out."""
    with path.open("rb") as file:
        while len(head := file.read(_FRAME.size)) == _FRAME.size:
            length, checksum = _FRAME.unpack(head)
            if length > path.stat().st_size:
                return
            body = file.read(length)
            if len(body) < length or zlib.crc32(body) != checksum:
                return
            yield body


def sync_folder(folder: Path) -> None:
    """Make creations, renames and removals in `folder` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
