"""The live view: what is open now, what it waits for, and why; kept up to date by what is new.

Pure: whoever feeds it reads and merges (stores/following.py). What it costs goes by what is open
and by what is new, not by the fifteen minutes that it keeps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Final, TypeVar

from why504 import names
from why504.diagnose.board import Board
from why504.diagnose.engine import explain
from why504.diagnose.kept import MOST_ITEMS, GoingOn, Item, Kept, Key, Trace
from why504.diagnose.now import Now
from why504.diagnose.peers import status_of
from why504.diagnose.present import Present
from why504.diagnose.victims import (
    GATEWAY_TIMEOUT,
    NEW_INCIDENT_AFTER_NS,
    GaveUp,
    find_victims,
    told_limit_s,
)
from why504.model import Evidence, Incident, Sample, Span, Window

SLOW_S: Final = 10.0
"""A request that is open for longer is a victim, whatever the gateway says later."""
JOBS_SLOW_S: Final = 300.0
"""A message that is worked on for longer is one, too: nobody waits, and work takes minutes."""
MOST_EXPLAINED: Final = 100
"""So many victims are explained, evenly chosen; holders that are victims come on top."""
_MOST_EVIDENCE: Final = 15_000
"""Spans and records that the engine is given at most; else fewer, later victims are explained."""
_USUAL: Final = 200
"""So many requests that ended well say what is usual, and how far clocks are off."""
_PER_SECOND_S: Final = 60

_T = TypeVar("_T")


class Live:
    """What is open now and why; for one thread at a time.

    Bounded: `most_items` spans and records. Traces that ended well go first, then those that ended
    otherwise, then open ones, those that hold something last; of each kind the one that was told
    longest ago. `Now.dropped` counts them.
    """

    def __init__(self, *, slow_s: float = SLOW_S, most_items: int = MOST_ITEMS) -> None:
        self._slow_s = slow_s
        self._kept = Kept(most_items)
        self._present = Present()
        self._now_ns = 0
        self._changed = True
        self._told: Now | None = None

    def update(
        self, delta: Evidence, now_ns: int, again: Mapping[Key, int] | None = None
    ) -> set[Key]:
        """Take what is new or is told anew, in any order; return what is kept no longer.

        Args:
            delta: merged items; each takes the place of what was told of it before. Its window is
                not looked at.
            now_ns: Unix nanoseconds; what was last told 15 minutes before goes, with the exception
                of traces that go on.
            again: what is open as it was told before -> until when, Unix nanoseconds.
        """
        before = self._kept.items
        gone = self._kept.add(delta, now_ns, again or {})
        told = again or delta.spans or delta.waits or delta.holds or delta.stalls or delta.vitals
        self._changed |= bool(told or gone or delta.heard_ns) or before != self._kept.items
        self._now_ns = now_ns
        return gone

    def now(self) -> Now:
        """Return the view as of the last update; computed anew only if anything changed."""
        silent = self._kept.silent(self._now_ns)
        told = self._told
        if told is None or self._changed or list(told.silent) != silent:
            told = self._view(silent)
        self._told = replace(told, at_ns=self._now_ns, timeouts_per_s=self._timeouts_per_s())
        self._changed = False
        return self._told

    def _view(self, silent: Sequence[str]) -> Now:
        heard_ns = self._kept.heard_ns
        going_on = self._kept.going_on(self._now_ns)
        self._present.update(going_on, heard_ns)
        board = Board(self._present, going_on, heard_ns)
        victims = self._victims(going_on)
        chosen, incidents = self._explained(victims)
        stuck, busy = board.stuck(), board.busy()
        return Now(
            at_ns=self._now_ns,
            open=stuck,
            resources=busy,
            timeouts_per_s=(),
            victims=len(victims),
            explained=chosen,
            incidents=incidents,
            silent=silent,
            kept=self._kept.items,
            dropped=self._kept.dropped,
            refused=self._kept.refused,
            holders=board.holders(busy, stuck),
            limit_s=self._limit_s(victims),
            heard_ns=self._kept.service_heard_ns(),
        )

    def _limit_s(self, victims: Sequence[GaveUp]) -> float | None:
        """Return how long the gateway waits: as it told last, else as it waited for 504s."""
        spans = (trace.gateway for trace in self._kept.traces.values() if trace.gateway)
        told = [(span.last_seen_ns, limit_s) for span in spans if (limit_s := told_limit_s(span))]
        waited = [(one.end_ns - one.span.start_ns) / 1e9 for one in victims if one.how == "timeout"]
        return max(told)[1] if told else median(waited) if waited else None

    def _timeouts_per_s(self) -> list[int]:
        begun_s = self._now_ns // 10**9 - _PER_SECOND_S
        counts = Counter(
            trace.gateway.last_seen_ns // 10**9
            for trace in self._kept.traces.values()
            if trace.gateway
            and trace.gateway.last_seen_ns >= begun_s * 10**9
            and status_of(trace.gateway.attributes) == GATEWAY_TIMEOUT
        )
        return [counts[begun_s + n] for n in range(1, _PER_SECOND_S + 1)]

    def _victims(self, going_on: Sequence[GoingOn]) -> list[GaveUp]:
        """Return the victims of the last two minutes, in the order of giving up."""
        begun_ns = self._now_ns - NEW_INCIDENT_AFTER_NS
        ended = [
            trace.gateway
            for trace in self._kept.traces.values()
            if trace.marked and trace.gateway and trace.gateway.last_seen_ns >= begun_ns
        ]
        found = find_victims(Evidence(Window(begun_ns, self._now_ns), spans=ended))
        known = {one.span.trace_id for one in found}
        heard_ns = self._kept.heard_ns
        slow_ns = {"server": int(self._slow_s * 1e9), "consumer": int(JOBS_SLOW_S * 1e9)}
        found += [
            GaveUp(item, heard_ns[item.instance], "in flight")
            for one in going_on
            if one.trace_id not in known
            for item in one.open
            if isinstance(item, Span)
            and item.kind in slow_ns
            and heard_ns[item.instance] - item.start_ns >= slow_ns[item.kind]
            and (item.kind == "consumer" or _is_outermost(item, one))
        ]
        return sorted(found, key=lambda one: (one.end_ns, one.span.trace_id, one.span.span_id))

    def _explained(self, victims: Sequence[GaveUp]) -> tuple[int, list[Incident]]:
        """Return what the engine says of victims evenly chosen, and how many it was given."""
        if not victims:
            return 0, []
        found = explain(
            self._evidence(victims), slower_than_s=self._slow_s, jobs_slower_than_s=JOBS_SLOW_S
        )
        latest_ns = max((incident.window.end_ns for incident in found), default=0)
        current = [i for i in found if i.window.end_ns > latest_ns - NEW_INCIDENT_AFTER_NS]
        return sum(len(incident.victims) for incident in current), current

    def _evidence(self, victims: Sequence[GaveUp]) -> Evidence:
        """Return victims evenly chosen, with all that may have held them up.

        Those who had something are chosen all; one of the others stands for those passed over.
        """
        later = victims
        for most in (MOST_EXPLAINED, MOST_EXPLAINED // 4, MOST_EXPLAINED // 16):
            having = [one for one in later if self._kept.traces[one.span.trace_id].weighty]
            known = {one.span.trace_id for one in having}
            chosen = _evenly([one for one in later if one.span.trace_id not in known], most)
            items = self._around([*chosen, *having])
            if len(items) <= _MOST_EVIDENCE:
                break
            # Later ones: what they wait for began later, and there is less of it.
            later = later[-max(1, len(later) // 4) :]
        times = (len(victims) - len(having)) / max(1, len(chosen))
        stands_for = {one.span.trace_id: times for one in chosen}
        told = _as_evidence(items, [*chosen, *having], self._kept.heard_ns)
        sample = Sample(stands_for, holders={}, requests=len(self._kept.traces))
        return replace(told, sample=sample) if times > 1 else told

    def _around(self, chosen: Sequence[GaveUp]) -> list[Item]:
        """Return the traces of the chosen, of whoever had something meanwhile, and usual ones."""
        mine = {one.span.trace_id for one in chosen}
        start_ns = min(one.span.start_ns for one in chosen)
        items: list[Item] = []
        usual: list[Trace] = []
        for trace_id, trace in self._kept.traces.items():
            if trace_id in mine or (trace.weighty and trace.last_ns >= start_ns):
                items += trace.current()
            elif not trace.marked and trace.last_ns - trace.first_ns < self._slow_s * 1e9:
                usual.append(trace)
        usual.sort(key=lambda trace: (trace.last_ns, next(iter(trace.items.values())).trace_id))
        for trace in _evenly(usual, _USUAL):
            items += trace.current()
        return items


def _is_outermost(span: Span, one: GoingOn) -> bool:
    """Return whether nobody but a gateway is known to have called."""
    caller = one.trace.items.get(span.parent_id or "")
    return caller is None or caller.service == names.GATEWAY_SERVICE


def _as_evidence(
    items: Sequence[Item], chosen: Sequence[GaveUp], heard_ns: dict[str, int]
) -> Evidence:
    ordered = sorted(items, key=lambda item: (item.start_ns, item.trace_id, item.span_id))
    start_ns, end_ns = min(one.span.start_ns for one in chosen), max(one.end_ns for one in chosen)
    return Evidence.of(ordered, Window(start_ns, end_ns + 1), dict(heard_ns))


def _evenly(things: Sequence[_T], most: int) -> list[_T]:
    """Return at most so many, the first and the last among them."""
    if len(things) <= most:
        return list(things)
    if most == 1:
        return [things[-1]]
    step = (len(things) - 1) / (most - 1)
    return [things[round(n * step)] for n in range(most)]
