"""What has been told of a broker's troubles and what is to be told now: a hold for each of them.

Pure but for its own memory. Rules: docs/how-evidence-travels.md, "Open and final".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from opentelemetry.trace import format_span_id
from opentelemetry.util.types import AttributeValue

from why504 import names
from why504.probe.telling.records import Ids, RecordSpan
from why504.probe.telling.rhythm import Rhythm, Telling
from why504.watch.alarms import Blocked, Trouble

RHYTHM: Final = Rhythm(first_s=1.0, longest_s=5.0)
"""As of a lock's hold: what is open counts until it is overdue, so it is told often."""


@dataclass(slots=True)
class _Open:
    trace_id: int
    span_id: int
    start_ns: int
    last_seen_ns: int
    telling: Telling
    most: Blocked | None = None
    """As it was when most connections were blocked; one that is blocking is blocked later."""


class Raised:
    """The troubles of one broker that go on."""

    def __init__(
        self, attributes: Mapping[str, AttributeValue], ids: Ids, *, interval_s: float
    ) -> None:
        """Start with nothing open; `attributes` go onto every record."""
        self._attributes = attributes
        self._ids = ids
        self._interval_ns = int(interval_s * 1e9)
        self._open: dict[Trouble, _Open] = {}

    def tell(
        self, troubles: Collection[Trouble], *, since_ns: int, now_ns: int, count: Blocked | None
    ) -> list[RecordSpan]:
        """Return the records due now: finals of what is over, snapshots of what goes on.

        Args:
            troubles: all that are seen now.
            since_ns: when a trouble began that was not seen before.
            now_ns: Unix nanoseconds.
            count: connections that alarms keep from publishing; None if nobody asked.
        """
        over = [trouble for trouble in self._open if trouble not in troubles]
        records = [self._final(trouble, self._open.pop(trouble), now_ns) for trouble in over]
        for trouble in sorted(troubles, key=str):
            one = self._open.get(trouble) or self._begin(trouble, since_ns, now_ns)
            one.last_seen_ns = now_ns
            if count is not None:
                one.most = max(count, one.most or count, key=_by_blocked)
            if now_ns / 1e9 >= one.telling.due_s:
                records.append(self._snapshot(trouble, one, now_ns))
        return records

    def _begin(self, trouble: Trouble, since_ns: int, now_ns: int) -> _Open:
        ids = self._ids.generate_trace_id(), self._ids.generate_span_id()
        telling = Telling(now_ns / 1e9, RHYTHM, first_s=0.0)
        one = _Open(*ids, min(since_ns, now_ns), now_ns, telling)
        self._open[trouble] = one
        return one

    def _snapshot(self, trouble: Trouble, one: _Open, now_ns: int) -> RecordSpan:
        more: dict[str, AttributeValue] = {
            names.OUTCOME: names.OPEN,
            names.SNAPSHOT_OF: format_span_id(one.span_id),
            names.SNAPSHOT_SEQUENCE: one.telling.tell(now_ns / 1e9),
        }
        return self._row(trouble, one, self._ids.generate_span_id(), now_ns, more)

    def _final(self, trouble: Trouble, one: _Open, now_ns: int) -> RecordSpan:
        # After a gap nobody knows when it ended: no more of it than one sample more would have
        # seen. Silence ended when the answer came.
        end_ns = min(now_ns, one.last_seen_ns + 2 * self._interval_ns)
        return self._row(trouble, one, one.span_id, end_ns, {names.OUTCOME: "released"})

    def _row(
        self,
        trouble: Trouble,
        one: _Open,
        span_id: int,
        end_ns: int,
        more: Mapping[str, AttributeValue],
    ) -> RecordSpan:
        resource = names.broker(trouble.node)
        return RecordSpan(
            name=f"{names.HOLD} {resource}",
            trace_id=one.trace_id,
            span_id=span_id,
            parent_id=None,
            start_ns=one.start_ns,
            end_ns=max(end_ns, one.start_ns),
            attributes={
                **self._attributes,
                names.KIND: names.HOLD,
                names.KEEP: True,
                names.RESOURCE: resource,
                names.LOCK_SESSION: str(trouble),
                names.BROKER_TROUBLE: trouble.kind,
                **_figures(one.most),
                **more,
            },
        )


def _by_blocked(count: Blocked) -> tuple[int, int]:
    return count.blocked, count.blocking


def _figures(most: Blocked | None) -> dict[str, AttributeValue]:
    if most is None:
        return {}
    return {names.BROKER_BLOCKED: most.blocked, names.BROKER_BLOCKING: most.blocking}
