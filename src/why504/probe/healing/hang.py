"""Whether a process hangs: its event loop stands still, or nothing that it was asked ever ends."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from opentelemetry.util.types import AttributeValue

from why504 import names
from why504.probe import site
from why504.probe.activity import Activity
from why504.probe.app.requests import is_answered
from why504.probe.clock import Clock
from why504.probe.inflight import OpenSpan, Registry
from why504.probe.loop.loopwatch import LoopWatch
from why504.probe.loop.stall import Watchdog
from why504.probe.site import CodeLine

FEWEST_REQUESTS: Final = 3
"""So many have to hang, unless the loop does: one may be slow for a reason of its own."""
_DEBUGGERS: Final = frozenset({"bdb.py", "pdb.py", "pydevd.py", "pydevd_frame.py"})
_AWAKE_S: Final = 1.0
"""No look counts for more: what is between two was a stopped process, not a hung one."""


@dataclass(frozen=True, slots=True)
class Hang:
    """Why a process hangs, for people, and where."""

    why: str
    trace_id: int
    """Of whoever blocks the loop, or hangs longest; 0 if nobody knows."""
    span_id: int
    where: Mapping[str, AttributeValue] = field(default_factory=dict)
    """`code.*`."""
    lines: Sequence[CodeLine] = ()


class Hangs:
    """Looks for a hang that has lasted `after_s`; for the watchdog's thread."""

    def __init__(
        self,
        watchdog: Watchdog,
        registry: Registry,
        *,
        clock: Clock,
        ended: Callable[[], int],
        after_s: float,
    ) -> None:
        self._watchdog = watchdog
        self._registry = registry
        self._clock = clock
        self._ended = ended
        self._after_s = after_s
        self._looked_s = clock.monotonic_s()
        self._quiet_s = 0.0
        self._known_ended = -1

    def look(self) -> Hang | None:
        """Return the hang that has lasted long enough, if there is one."""
        now_s = self._clock.monotonic_s()
        awake_s = min(now_s - self._looked_s, _AWAKE_S)
        self._looked_s = now_s
        for watch in list(self._watchdog.loops.values()):
            age_s = self._watchdog.age_s(watch)
            if age_s >= self._after_s:
                return self._of_loop(watch, age_s)
        return self._of_requests(now_s, awake_s)

    def _of_loop(self, watch: LoopWatch, age_s: float) -> Hang | None:
        stall = watch.stall
        if stall is None or is_debugged(_lines_of(watch.thread_id)):
            return None
        told = stall.record.attributes
        place: dict[str, AttributeValue] = {}
        for name in (names.CODE_FILE, names.CODE_LINE, names.CODE_FUNCTION):
            if name in told:
                place[name] = told[name]
        why = f"the event loop has not turned for {age_s:.0f} s{_at(place)}"
        record = stall.record
        return Hang(why, record.trace_id, record.span_id, place)

    def _of_requests(self, now_s: float, awake_s: float) -> Hang | None:
        hung = [
            entry
            for entry in self._registry.requests()
            if now_s - entry.opened_s >= self._after_s and not is_answered(entry.scope)
        ]
        if len(hung) < FEWEST_REQUESTS:
            self._quiet_s, self._known_ended = 0.0, -1
            return None
        ended = self._ended()
        self._quiet_s = self._quiet_s + awake_s if ended == self._known_ended else 0.0
        self._known_ended = ended
        if self._quiet_s < self._after_s:
            return None
        return self._of_hung(hung, now_s)

    def _of_hung(self, hung: Sequence[OpenSpan], now_s: float) -> Hang | None:
        activity = Activity(self._registry, self._watchdog.places())
        oldest = min(hung, key=lambda entry: entry.opened_s)
        lines = activity.lines(oldest.place, oldest.trace_id)
        if is_debugged(lines):
            return None
        where = site.attributes_of(site.user_line(lines))
        why = (
            f"no request has ended for {self._quiet_s:.0f} s, {len(hung)} hang, "
            f"the oldest for {now_s - oldest.opened_s:.0f} s{_at(where)}"
        )
        return Hang(why, oldest.trace_id, oldest.span_id, where, lines)


def is_debugged(lines: Sequence[CodeLine]) -> bool:
    """Return whether somebody looks at this process, or at this code, with a debugger."""
    if any(Path(line.file).name in _DEBUGGERS for line in lines):
        return True
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return "TracerPid:\t0\n" not in status and "TracerPid:" in status


def _lines_of(thread_id: int) -> list[CodeLine]:
    return site.thread_lines(sys._current_frames().get(thread_id))


def _at(where: Mapping[str, AttributeValue]) -> str:
    if names.CODE_FILE not in where:
        return ""
    return f", at {where[names.CODE_FILE]!s}:{where.get(names.CODE_LINE)!s}"
