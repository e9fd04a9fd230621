"""The folder of black boxes: a name of its own for each process, and a bound for them all.

`<Unix ns>-<pid>.<part>.w504box`: parts of one process sort by age. A writer holds a lock on its
newest part, which ends with the process however that ends: what is not locked grows no more.
`<Unix ns>-<pid>.w504dump` has what its threads did while one of them kept the GIL.
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
DUMP_SUFFIX: Final = ".w504dump"
EXIT_SUFFIX: Final = ".w504exit"
_LINE_LIMIT: Final = 2**16
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


def dump(folder: Path, stem: str) -> Path:
    """Return where a process's stacks go while one of its threads keeps the GIL."""
    return folder / f"{stem}{DUMP_SUFFIX}"


def dumps(folder: Path) -> Sequence[Path]:
    """Return every process's dump, oldest process first, taken or not.

    Raises:
        OSError: the folder can't be read.
    """
    return [folder / name for name in sorted(os.listdir(folder)) if name.endswith(DUMP_SUFFIX)]


def exit_dump(folder: Path, stem: str) -> Path:
    """Return where a process's stacks go that is ended because its GIL is kept."""
    return folder / f"{stem}{EXIT_SUFFIX}"


def exits(folder: Path) -> Sequence[Path]:
    """Return every process's such dump, taken or not, of which nobody has told yet.

    Raises:
        OSError: the folder can't be read.
    """
    return [folder / name for name in sorted(os.listdir(folder)) if name.endswith(EXIT_SUFFIX)]


def counted(path: Path) -> Path:
    """Return what such a dump is called once somebody has told of it."""
    return path.with_name(path.name.removesuffix(EXIT_SUFFIX) + ".end" + DUMP_SUFFIX)


def opened(path: Path, mode: int = os.O_WRONLY) -> int:
    """Open a new file for appending, locked until it is closed; only its owner may read it.

    Raises:
        OSError: the folder refuses.
    """
    file = os.open(path, mode | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
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


def make_room(folder: Path, own_stem: str, keep: int = BOXES_KEPT) -> None:
    """Delete the oldest boxes of processes that are gone, but for `keep`; never raises."""
    with suppress(OSError):
        # Never one's own: who opens and closes a file gives up every lock of its own on it.
        kept = [p for stem, p in boxes(folder).items() if stem != own_stem and is_gone(p[-1])]
        old = [path for parts in kept[: max(0, len(kept) - keep)] for path in parts]
        files = (*dumps(folder), *exits(folder))
        left = [p for p in files if not p.name.startswith(own_stem) and is_gone(p)]
        taken = [path for path in left if is_taken(path)]
        never = [path for path in left if path not in taken]
        for path in (*old, *never, *taken[: max(0, len(taken) - keep)]):
            path.unlink(missing_ok=True)


def is_gone(path: Path) -> bool:
    """Return whether the process that wrote a file has ended."""
    return not is_written(path)


def is_taken(path: Path) -> bool:
    """Return whether a dump has more than the line that says whose it is."""
    with suppress(OSError), path.open("rb") as file:
        file.readline(_LINE_LIMIT)
        return bool(file.read(1))
    return False
