"""The folder of black boxes: a name of its own for each process, and a bound for them all.

`<Unix ns>-<pid>.<part>.w504box`: parts of one process sort by age. A writer holds a lock on its
newest part, which ends with the process however that ends: what is not locked grows no more.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

try:
    import fcntl
except ImportError:  # not on Windows, where a live process's box counts as that of a dead one
    fcntl = None  # type: ignore[assignment]

SUFFIX: Final = ".w504box"
BOXES_KEPT: Final = 8
"""Of processes that are gone; the oldest are deleted."""


def new_stem(pid: int, now_ns: int) -> str:
    """Return what the files of a process that begins now are called."""
    return f"{now_ns:020d}-{pid}"


def part(folder: Path, stem: str, number: int) -> Path:
    """Return a part of a process's box."""
    return folder / f"{stem}.{number:06d}{SUFFIX}"


def boxes(folder: Path) -> Mapping[str, Sequence[Path]]:
    """Return the parts of each process's box, oldest first, by its stem.

    Raises:
        OSError: the folder can't be read.
    """
    found: dict[str, list[Path]] = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith(SUFFIX):
            found.setdefault(name.split(".")[0], []).append(folder / name)
    return found


def open_part(path: Path) -> int:
    """Open a new part for appending, locked until it is closed; only its owner may read it.

    Raises:
        OSError: the folder refuses.
    """
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
    if fcntl is not None:
        # Of a process, not of the open file: a child that is forked has no part in it.
        with suppress(OSError):
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file


def is_written(path: Path) -> bool:
    """Return whether another process still writes to a part."""
    if fcntl is None:
        return False
    with suppress(FileNotFoundError), path.open("rb") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def make_room(folder: Path, keep: int = BOXES_KEPT) -> None:
    """Delete the oldest boxes of processes that are gone, but for `keep`; never raises."""
    with suppress(OSError):
        gone = [parts for parts in boxes(folder).values() if not is_written(parts[-1])]
        for parts in gone[: max(0, len(gone) - keep)]:
            for path in parts:
                path.unlink(missing_ok=True)
