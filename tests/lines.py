"""Where a line of a test is, by a mark at its end: `# holder`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def HERE(file: str) -> Callable[[str], int]:
    """Return what finds the line of a mark in a file."""

    def line_of(mark: str) -> int:
        lines = Path(file).read_text().splitlines()
        return next(n for n, line in enumerate(lines, 1) if line.endswith(f"# {mark}"))

    return line_of
