"""Which files a log has been: finds the one to go on with after a rotation, whoever did it.

A file is known by the digest of its first line and not by its inode, which is reused: so it is
found again after `rename` (logrotate's `create`) and after a copy (`copytruncate`) alike, also when
both it and its successor were rotated while nobody looked. Compressed files are not read: logrotate
needs `delaycompress`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HEAD_BYTES: Final = 65_536
"""The first line of a file, and a time in it, are looked for in so many bytes."""

TimeOf = Callable[[bytes], float | None]
"""Gives the Unix seconds in a line, None if the line is not ours."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far a log was read: which file, and how many bytes of it."""

    head: str = ""
    """Digest of the file's first line; empty before any line was read."""
    began_s: float = 0.0
    """Time in its first line that has one."""
    offset: int = 0


@dataclass(frozen=True, slots=True)
class LogFile:
    """The log, or one that it was before."""

    path: Path
    head: str
    """Empty while it has no whole line."""
    began_s: float | None
    size: int


def identify(start: bytes, time_of: TimeOf) -> tuple[str, float | None]:
    """Return digest and time of a file that starts with `start`."""
    lines = start[:HEAD_BYTES].split(b"\n")
    if len(lines) == 1 and len(start) < HEAD_BYTES:
        return "", None
    times = (time_of(line) for line in lines)
    began_s = next((time_s for time_s in times if time_s is not None), None)
    return hashlib.sha256(lines[0]).hexdigest(), began_s


def find(log: Path, position: Position, time_of: TimeOf) -> Path | None:
    """Return the file that `position` is in: the log itself where it fits, else a rotated one."""
    if not position.head:
        return log if log.exists() else None
    fitting = (
        file.path
        for file in _files(log, time_of)
        if file.head == position.head and file.size >= position.offset
    )
    return next(fitting, None)


def newer(log: Path, position: Position, time_of: TimeOf) -> Path | None:
    """Return the oldest file that began after the one of `position`, the log itself last."""
    rotated = [
        (file.began_s, file.path)
        for file in _files(log, time_of)
        if file.path != log and file.began_s is not None and file.began_s > position.began_s
    ]
    if rotated and position.head:
        return min(rotated)[1]
    return log if log.exists() else None


def _files(log: Path, time_of: TimeOf) -> list[LogFile]:
    """Return the log, if it is there, and all files named after it: `.1`, `-20261123` ..."""
    found = []
    for path in (log, *sorted(log.parent.glob(f"{log.name}[.-]*"))):
        try:
            with path.open("rb") as file:
                head, began_s = identify(file.read(HEAD_BYTES), time_of)
                found.append(LogFile(path, head, began_s, path.stat().st_size))
        except (FileNotFoundError, IsADirectoryError):
            continue  # rotated away between listing and opening
    return found
