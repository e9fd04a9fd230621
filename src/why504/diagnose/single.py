"""One request by itself, whoever it is: for looking at what nobody gave up on, or not yet."""

from __future__ import annotations

from collections.abc import Sequence

from why504 import names
from why504.diagnose.activity import route_of
from why504.diagnose.peers import status_of
from why504.model import Evidence, Leaf, Record, Span, Victim


def as_victim(trace: Evidence) -> Victim | None:
    """Return a trace's request in the form of a victim, without blame; None if it is empty.

    `status` is 0 while nobody has answered; `gave_up_ns` is its end, or when it was last heard of.
    A trace of records alone is what somebody kept outside any request, such as a lock.
    """
    if not trace.spans:
        return _of_records([*trace.holds, *trace.stalls, *trace.waits])
    root = min(trace.spans, key=_outermost)
    seen_ns = [span.last_seen_ns for span in trace.spans if span.service == root.service]
    end_ns = root.end_ns or max(seen_ns)
    lost_s = (end_ns - root.start_ns) / 1e9
    return Victim(
        trace_id=root.trace_id,
        span_id=root.span_id,
        route=route_of(root),
        start_ns=root.start_ns,
        gave_up_ns=end_ns,
        status=status_of(root.attributes) or 0,
        reached_app=any(span.service != names.GATEWAY_SERVICE for span in trace.spans),
        blocked_in="",
        blocking_span_id=None,
        held_by="",
        holder_trace_id=None,
        leaf=Leaf("unknown", ""),
        explained_s=0.0,
        unknown_s=lost_s,
        how="in flight" if root.end_ns is None else "slow",
        service=root.service,
    )


def _of_records(records: Sequence[Record]) -> Victim | None:
    if not records:
        return None
    first = min(records, key=lambda record: record.start_ns)
    end_ns = max(record.end_ns or record.last_seen_ns for record in records)
    still_open = any(record.end_ns is None for record in records)
    said = first.attributes.get(names.LOCK_SESSION)
    return Victim(
        trace_id=first.trace_id,
        span_id=first.span_id,
        route=str(said or first.resource),
        start_ns=first.start_ns,
        gave_up_ns=end_ns,
        status=0,
        reached_app=False,
        blocked_in="",
        blocking_span_id=None,
        held_by="",
        holder_trace_id=None,
        leaf=Leaf("unknown", ""),
        explained_s=0.0,
        unknown_s=(end_ns - first.start_ns) / 1e9,
        how="in flight" if still_open else "slow",
        service=first.service,
    )


def _outermost(span: Span) -> tuple[bool, bool, int]:
    return span.service != names.GATEWAY_SERVICE, span.parent_id is not None, span.start_ns
