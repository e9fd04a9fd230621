"""One stall while it lasts: what samples of it showed, and at which line most of them did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from why504 import names
from why504.probe import site
from why504.probe.inflight import OpenSpan
from why504.probe.site import CodeLine
from why504.probe.telling.openrecord import OpenRecord

_SITES_LIMIT: Final = 64


@dataclass(slots=True)
class Seen:
    """What the samples of one stall showed at one line: how often, for whom, and the last stack."""

    times: int
    lines: list[CodeLine]
    entry: OpenSpan | None


@dataclass(slots=True)
class StallState:
    """One stall while it lasts."""

    record: OpenRecord
    cpu_at_start_s: float
    gc_at_start_s: float
    sample_due_s: float
    samples: int = 0
    progressing: bool = False
    first: list[CodeLine] = field(default_factory=list)
    seen: dict[CodeLine, Seen] = field(default_factory=dict)

    def note(self, lines: list[CodeLine], entry: OpenSpan | None, times: int = 1) -> None:
        """Take a sample, which counts so many times."""
        self.samples += 1
        self.first = self.first or lines
        self.progressing = self.progressing or lines != self.first
        where = site.user_line(lines) or _least_foreign(lines)
        if where is None:
            return
        seen = self.seen.get(where)
        if seen is None and len(self.seen) < _SITES_LIMIT:
            seen = self.seen[where] = Seen(0, lines, entry)
        if seen is not None:
            seen.times += times
            seen.lines, seen.entry = lines, entry or seen.entry

    def describe(self) -> None:
        """Bring the record up to date, so that the publisher tells what is known now."""
        attributes = self.record.attributes
        attributes[names.STALL_SAMPLES] = self.samples
        attributes[names.STALL_PROGRESSING] = self.progressing
        where = _most_seen(self.seen)
        if where is None:
            return
        seen = self.seen[where]
        attributes |= site.attributes_of(where)
        attributes[names.CODE_STACKTRACE] = site.stack_text(seen.lines)
        if seen.entry is not None and self.samples == 1:
            # Before it can be told: readers group the tellings of a record by its trace.
            self.record.trace_id = seen.entry.trace_id
            self.record.parent_id = seen.entry.span_id


def _most_seen(seen: dict[CodeLine, Seen]) -> CodeLine | None:
    """Return the line seen most often in the function seen most often."""
    functions: dict[tuple[str, str], int] = {}
    for line, what in seen.items():
        key = (line.file, line.function)
        functions[key] = functions.get(key, 0) + what.times
    return max(
        seen,
        key=lambda line: (functions[(line.file, line.function)], seen[line].times),
        default=None,
    )


def _least_foreign(lines: list[CodeLine]) -> CodeLine | None:
    """Return the innermost line of an installed package, where no user's code is on the stack."""
    packaged = (line for line in lines if "site-packages" in line.file)
    return next(packaged, lines[0] if lines else None)
