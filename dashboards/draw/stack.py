"""Stacks as text, with the line that blocks marked."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from dashboards.draw.text import block
from why504.model import Evidence, Record, Site, Span

MARK = "→ "
OWN = "· "
FRAME = re.compile(r'File "(?P<file>[^"]*)", line (?P<line>\d+)')


def marked(stack: str, site: Site | None, own: Collection[str] = ()) -> str:
    """Return the stack, every frame at `site` marked with an arrow; the innermost stays on top.

    Other frames below one of the paths of `own` get a dot: among forty they are the ones to read.
    """
    ours = tuple(own)
    return "\n".join(_mark(line, site, ours) + line for line in block(stack).split("\n"))


def own_paths(*told: Evidence | None) -> frozenset[str]:
    """Return with what the paths of the application's own code begin.

    The probe names the line of a record only where it is in no library. In a stack the paths of
    both look alike.
    """
    records = (record for one in told if one for record in (*one.waits, *one.holds, *one.stalls))
    return frozenset(_root(record.site.file) for record in records if record.site)


def _root(file: str) -> str:
    folder, slash, _ = file.rpartition("/") if file.startswith("/") else file.partition("/")
    return folder + slash


def _mark(line: str, site: Site | None, own: tuple[str, ...]) -> str:
    if site is not None and _is_at(line, site):
        return MARK
    frame = FRAME.search(line)
    return OWN if frame and own and frame["file"].startswith(own) else "  "


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
