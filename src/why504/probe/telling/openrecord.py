"""Waits, holds and stalls while they last, and how each becomes a record on the wire.

Attributes and naming: docs/how-evidence-travels.md.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Final

from opentelemetry import trace
from opentelemetry.util.types import AttributeValue

from why504 import names
from why504.probe.clock import Clock
from why504.probe.inflight import REQUEST, Place
from why504.probe.lean.current import span_context
from why504.probe.telling.records import Ids, RecordSpan, Sender
from why504.probe.telling.rhythm import Telling

OPEN_LIMIT: Final = 50_000
"""Records kept at most while they are open."""


class OpenRecord:
    """One wait, hold or stall that goes on; `RecordBook.mint` makes it."""

    kind: str
    resource: str
    trace_id: int
    span_id: int
    parent_id: int | None
    start_ns: int
    """When it began, Unix ns."""
    opened_s: float
    """The same, monotonic seconds."""
    place: Place
    attributes: dict[str, AttributeValue]
    telling: Telling | None
    over = False
    first_told_s: float | None = None
    """Seconds after which it is told first; None = as the rhythm says."""

    def lasted_s(self, now_s: float) -> float:
        """Return seconds since it opened."""
        return now_s - self.opened_s

    def final(self, outcome: str, now_s: float) -> RecordSpan:
        """Return the record of something that is over."""
        return self._span(self.span_id, now_s, {names.OUTCOME: outcome})

    def snapshot(
        self, span_id: int, sequence: int, now_s: float, extra: Mapping[str, AttributeValue]
    ) -> RecordSpan:
        """Return what can be said now, under an id of its own."""
        told = {
            names.OUTCOME: names.OPEN,
            names.SNAPSHOT_OF: trace.format_span_id(self.span_id),
            names.SNAPSHOT_SEQUENCE: sequence,
            **extra,
        }
        return self._span(span_id, now_s, told)

    def _span(self, span_id: int, now_s: float, extra: Mapping[str, AttributeValue]) -> RecordSpan:
        own: dict[str, AttributeValue] = {
            names.KIND: self.kind,
            names.RESOURCE: self.resource,
            names.KEEP: True,
        }
        return RecordSpan(
            name=f"{self.kind} {self.resource}",
            trace_id=self.trace_id,
            span_id=span_id,
            parent_id=self.parent_id,
            start_ns=self.start_ns,
            end_ns=self.start_ns + max(0, int(self.lasted_s(now_s) * 1e9)),
            attributes={**own, **self.attributes, **extra},
        )


_new_record: Final[Callable[[type[OpenRecord]], OpenRecord]] = object.__new__
"""An `__init__` in Python costs more than all that it does."""


class RecordBook:
    """Opens and closes records; what is in it is told by the publisher while it is open."""

    def __init__(self, clock: Clock, ids: Ids, sender: Sender) -> None:
        self.open_records: dict[int, OpenRecord] = {}
        self.dropped = 0
        self.clock = clock
        # Reentrant: garbage collection may give a connection back while this thread is in here.
        self._lock = threading.RLock()
        self.ids = ids
        self.sender = sender

    def mint(self, kind: str, resource: str, place: Place) -> OpenRecord:
        """Return a record that begins now in the current trace; it is not told yet."""
        # A SpanContext is a tuple, and read as one here: each name of it is a call.
        trace_id, parent_id, _, _, _, known = span_context()
        if not known and (request := REQUEST.get()) is not None:
            # In a thread that works for a request, but has no context of it.
            trace_id, parent_id, known = request.trace_id, request.span_id, True
        record = _new_record(OpenRecord)
        record.kind, record.resource, record.place = kind, resource, place
        record.trace_id = trace_id if known else self.ids.generate_trace_id()
        record.span_id = self.ids.generate_span_id()
        record.parent_id = parent_id if known else None
        record.start_ns, record.opened_s = self.clock.wall_ns(), self.clock.monotonic_s()
        record.attributes, record.telling = {}, None
        return record

    def open(self, record: OpenRecord) -> None:
        """Have a record told while it lasts; beyond the limit count it: only its end is told."""
        if len(self.open_records) >= OPEN_LIMIT:
            self.dropped += 1
        else:
            self.open_records[record.span_id] = record

    def close(self, record: OpenRecord, outcome: str, *, publish: bool) -> float:
        """End a record now; return the seconds it lasted. What was told gets a final always."""
        self.open_records.pop(record.span_id, None)
        now_s = self.clock.monotonic_s()
        record.over = True
        # Who is about to claim it has said so before: either we see that, or they see it is over.
        if record.telling is not None:
            with self._lock:
                publish = publish or record.telling.sequence > 0
        if publish:
            self.sender.send(record.final(outcome, now_s))
        return now_s - record.opened_s

    def claim(self, record: OpenRecord, telling: Telling, now_s: float) -> int | None:
        """Return the sequence of a telling; None when it is over: what was told gets a final."""
        with self._lock:
            return None if record.over else telling.tell(now_s)

    def of_kind(self, kind: str) -> list[OpenRecord]:
        """Return the open records of a kind, oldest first."""
        return [record for record in list(self.open_records.values()) if record.kind == kind]
