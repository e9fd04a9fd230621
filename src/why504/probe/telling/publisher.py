"""Tells what is still open, from a thread of its own: snapshots of spans, waits, holds, stalls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Final

from opentelemetry.util.types import AttributeValue

from why504 import names
from why504.probe import site
from why504.probe.activity import Activity
from why504.probe.clock import Clock
from why504.probe.inflight import OpenSpan, Registry
from why504.probe.safety import Guard
from why504.probe.telling.openrecord import OpenRecord, RecordBook
from why504.probe.telling.rhythm import Rhythm, Telling, pieces_s
from why504.probe.telling.rows import span_snapshot

POLL_S: Final = 0.2
QUIET_S: Final = 0.5
"""Between two looks while nothing is open: a span that begins then is not due before the next, and
a stall is told a third of a second later at most."""
HEARD_EVERY_S: Final = 5.0
"""What is open counts as open until its process was last heard of: so often, or ..."""
SELDOM_S: Final = 20.0
"""... so often when nothing new has hung for long; a minute is silence (diagnose/kept.py)."""
_TOLD_AT_ONCE: Final = 2000
"""Bounds one round, and with it the CPU taken from the application; the rest is told next round."""


class Publisher:
    """Looks every 200 ms for what is open and due to be told, every 500 ms while nothing is."""

    def __init__(
        self,
        registry: Registry,
        book: RecordBook,
        *,
        rhythm: Rhythm,
        look: Callable[[], Activity],
        guard: Guard,
    ) -> None:
        self._guard = guard.site("snapshot")
        self._registry = registry
        self._book = book
        self._rhythm = rhythm
        self._look = look
        self._last_told_s = float("-inf")

    def pause_s(self) -> float:
        """Return after how long to look again."""
        if self._registry.spans or self._book.open_records:
            return POLL_S
        return max(POLL_S, min(QUIET_S, self._rhythm.first_s / 2))

    def tell_due(self, clock: Clock) -> int:
        """Tell all that is due now, at most 2,000; return how many were told."""
        now_s = clock.monotonic_s()
        self._registry.make_room()
        things: list[OpenSpan | OpenRecord] = list(self._book.open_records.values())
        things += list(self._registry.spans.values())
        due = [
            thing
            for thing in things
            # Most that hang have been told before: of them it is known without a call.
            if (
                self._is_due_first(thing, now_s)
                if thing.telling is None
                else thing.telling.due_s <= now_s
            )
        ][:_TOLD_AT_ONCE]
        if not due and now_s - self._last_told_s > HEARD_EVERY_S:
            due = self._sign_of_life(things, now_s)
        if not due:
            return 0
        self._last_told_s = now_s
        activity = self._look()
        waits = {wait.trace_id: wait.resource for wait in self._book.of_kind(names.WAIT)}
        at_work: Set[int] = frozenset()
        if any(isinstance(thing, OpenRecord) for thing in due):
            at_work = {thing.trace_id for thing in things if isinstance(thing, OpenSpan)}
        for thing in due:
            with self._guard:
                if isinstance(thing, OpenSpan):
                    self._tell_span(thing, now_s, activity, waits)
                else:
                    self._tell_record(thing, now_s, activity, at_work)
        return len(due)

    def _sign_of_life(
        self, things: Sequence[OpenSpan | OpenRecord], now_s: float
    ) -> list[OpenSpan | OpenRecord]:
        told = [thing for thing in things if thing.telling is not None]
        if not told:
            return []
        age_s = now_s - max(thing.opened_s for thing in told)
        if now_s - self._last_told_s <= pieces_s(age_s, HEARD_EVERY_S, SELDOM_S):
            return []
        # One will do; of a wait there is no stack to tell.
        return [min(told, key=_has_a_stack)]

    def _is_due_first(self, thing: OpenSpan | OpenRecord, now_s: float) -> bool:
        first_s = thing.first_told_s if isinstance(thing, OpenRecord) else None
        if now_s - thing.opened_s < (self._rhythm.first_s if first_s is None else first_s):
            return False
        thing.telling = Telling(thing.opened_s, self._rhythm, first_s)
        return True

    def _tell_span(
        self, thing: OpenSpan, now_s: float, activity: Activity, waits: Mapping[int, str]
    ) -> None:
        if thing.telling is not None:
            span_id = self._book.ids.generate_span_id()
            thing.telling.tell(now_s)
            snapshot = span_snapshot(thing, span_id, now_s, activity=activity, waits=waits)
            self._book.sender.send(snapshot)
        while thing.failed:
            self._book.sender.send(thing.failed.popleft())

    def _tell_record(
        self, thing: OpenRecord, now_s: float, activity: Activity, at_work: Set[int]
    ) -> None:
        if thing.telling is None:
            return
        extra = _of_holder(thing, activity, at_work) if thing.kind == names.HOLD else {}
        sequence = self._book.claim(thing, thing.telling, now_s)
        if sequence is not None:
            span_id = self._book.ids.generate_span_id()
            self._book.sender.send(thing.snapshot(span_id, sequence, now_s, extra))


def _of_holder(
    hold: OpenRecord, activity: Activity, at_work: Set[int]
) -> dict[str, AttributeValue]:
    """Return what whoever has something does now; of a thread outside any request, its name too."""
    told: dict[str, AttributeValue] = {}
    if hold.parent_id is None and not hold.place.in_task:
        lines = activity.thread(hold.place.thread_id)
        told |= _name_of(hold.place.thread_id)
    else:
        lines = activity.lines(hold.place, hold.trace_id)
    if lines:
        told[names.CODE_STACKTRACE] = site.stack_text(lines)
        users = site.user_line(lines)
        told |= {names.HOLD_AT: site.stack_text([users])} if users else {}
    elif hold.parent_id is not None and hold.trace_id not in at_work:
        told[names.REQUEST_ENDED] = True
    return told


def _name_of(thread_id: int) -> dict[str, AttributeValue]:
    found = next((each for each in threading.enumerate() if each.ident == thread_id), None)
    return {names.THREAD_NAME: found.name} if found else {}


def _has_a_stack(thing: OpenSpan | OpenRecord) -> bool:
    return not (isinstance(thing, OpenRecord) and thing.kind == names.WAIT)
