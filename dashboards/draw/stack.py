"""Stacks as text, with the line that blocks marked."""

from __future__ import annotations

import re

from dashboards.draw.text import block
from why504.model import Site

MARK = "→ "
FRAME = re.compile(r'File "(?P<file>[^"]*)", line (?P<line>\d+)')


def marked(stack: str, site: Site | None) -> str:
    """Return the stack, every frame at `site` marked with an arrow; the innermost stays on top."""
    lines = block(stack).split("\n")
    return "\n".join(
        (MARK if site is not None and _is_at(line, site) else "  ") + line for line in lines
    )


def _is_at(line: str, site: Site) -> bool:
    frame = FRAME.search(line)
    if frame is None or int(frame["line"][:9]) != site.line or not site.file:
        return False
    # One of the two may be told from the root of the package and the other from that of the disk.
    return frame["file"].endswith(site.file) or site.file.endswith(frame["file"])
