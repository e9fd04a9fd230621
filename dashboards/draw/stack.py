"""Stacks as text, with the line that blocks marked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from dashboards.draw.text import block
from why504.model import Evidence, Record, Site, Span

MARK = "→ "
OWN = "· "
FRAME = re.compile(r'File "(?P<file>[^"]*)", line (?P<line>\d+)')
_LIBRARY = re.compile(r"(site|dist)-packages/|/lib(64)?/python\d|^<|^$")
"""Files of installed packages, of Python itself, and what is no file."""


def marked(stack: str, site: Site | None) -> str:
    """Return the stack, every frame at `site` marked with an arrow; the innermost stays on top.

    Other frames that are in no library get a dot: among forty they are the ones to read.
    """
    return "\n".join(_mark(line, site) + line for line in block(stack).split("\n"))


def _mark(line: str, site: Site | None) -> str:
    if site is not None and _is_at(line, site):
        return MARK
    frame = FRAME.search(line)
    return "  " if frame is None or _LIBRARY.search(frame["file"]) else OWN


def _is_at(line: str, site: Site) -> bool:
    frame = FRAME.search(line)
    if frame is None or int(frame["line"][:9]) != site.line or not site.file:
        return False
    # One of the two may be told from the root of the package and the other from that of the disk.
    return frame["file"].endswith(site.file) or site.file.endswith(frame["file"])


def stands_at(stack: str, site: Site) -> bool:
    """Return whether a frame of a stack is at a line of code."""
    return any(_is_at(line, site) for line in block(stack).split("\n"))


def with_stack(told: Evidence, span_id: str | None, site: Site | None) -> Iterator[Span | Record]:
    """Yield what has a stack: the named span first, then what is at the site, then the rest."""
    everything: Sequence[Span | Record] = [*told.stalls, *told.waits, *told.holds, *told.spans]
    stacks = [item for item in everything if item.stack]
    yield from (item for item in stacks if span_id is not None and item.span_id == span_id)
    yield from (item for item in stacks if site is not None and item.site == site)
    yield from stacks
