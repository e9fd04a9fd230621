"""Small files of /proc, read as cheaply as that goes: a probe reads some of them each second."""

from __future__ import annotations

import os
from typing import Final

_MOST_BYTES: Final = 65536


def words(path: str | os.PathLike[str]) -> list[str]:
    """Return the words of a file; none where it can't be read."""
    return text(path).split()


def text(path: str | os.PathLike[str]) -> str:
    """Return a file's text, at most 64 KB of it; empty where it can't be read."""
    try:
        file = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except (OSError, ValueError):
        return ""
    try:
        return os.read(file, _MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
    finally:
        os.close(file)
