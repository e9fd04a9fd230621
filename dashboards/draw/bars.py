"""Lays out one 504 on one clock: a row a span or record, in lanes, ready to be drawn.

Seconds count from the moment at which the gateway got the request. Waits, holds and stalls are
bars like spans are (docs/how-evidence-travels.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dashboards.draw.text import duration, plain, short
from why504 import names
from why504.model import Evidence, Hold, Record, Span, Stall, Victim, Wait

LANE_LIMIT = 40
DEPTH_LIMIT = 8
LANES = {"gateway": "Gateway", "application": "Application", "database": "Database"}
BLOCKED_HERE = "blocked here"
LOST_HERE = "time lost here"


@dataclass(frozen=True, slots=True)
class Bar:
    """One row: a stretch of time with its words. `note` and `lane` rows have no length."""

    kind: str
    """gateway, application, database, wait, hold, stall; lane for a heading, note for a remark."""
    label: str
    start_s: float = 0.0
    end_s: float = 0.0
    open: bool = False
    """Not ended when last heard of, at `end_s`."""
    mark: str = ""
    """`blocked here`, `time lost here` or empty."""
    depth: int = 0
    detail: str = ""


def bars(victim: Victim, own: Evidence, holder: Evidence | None = None) -> list[Bar]:
    """Return the rows of one 504 from top to bottom, and below them those of its holder's trace."""
    shown = _all(own, victim)
    rows: list[Bar] = []
    for kind, title in LANES.items():
        lane = [item for item in shown if _lane(item) == kind]
        if lane or kind != "database":
            rows.append(Bar("lane", title))
            rows.extend(_rows(lane, victim) or [_missing(kind, victim)])
    if holder is not None:
        title = (
            f"Held by: {plain(victim.held_by) or 'trace ' + plain(victim.holder_trace_id or '')}"
        )
        rows.append(Bar("lane", title))
        others = _rows(_all(holder, victim), victim)
        rows.extend(others or [Bar("note", "nothing is stored of the holder's trace")])
    return rows


def _all(evidence: Evidence, victim: Victim) -> list[Span | Record]:
    everything: list[Span | Record] = [
        *evidence.spans,
        *evidence.waits,
        *evidence.holds,
        *evidence.stalls,
    ]
    # Only what overlaps the request can have kept it waiting; a holder's life can be long.
    return [
        item
        for item in everything
        if item.start_ns < victim.gave_up_ns
        and (item.end_ns is None or item.end_ns >= victim.start_ns)
    ]


def _lane(item: Span | Record) -> str:
    if isinstance(item, Record):
        return "database" if item.resource.startswith("db.lock:") else "application"
    if item.service == names.GATEWAY_SERVICE:
        return "gateway"
    return "database" if names.DB_SYSTEM in item.attributes else "application"


def _missing(kind: str, victim: Victim) -> Bar:
    if kind == "application":
        seen = "no span of it is stored" if victim.reached_app else "the request never got here"
        return Bar("note", seen)
    gave_up_s = (victim.gave_up_ns - victim.start_ns) / 1e9
    label = f"{plain(victim.route)} · {duration(gave_up_s)}"
    return Bar("gateway", label, end_s=gave_up_s)


def _rows(lane: Sequence[Span | Record], victim: Victim) -> list[Bar]:
    rows = [_bar(item, depth, victim) for item, depth in _tree(lane)]
    if len(rows) <= LANE_LIMIT:
        return rows
    longest = sorted(rows, key=lambda bar: (bar.mark == "", bar.start_s - bar.end_s))[:LANE_LIMIT]
    kept = {id(bar) for bar in longest}
    hidden = Bar("note", f"… and {len(rows) - LANE_LIMIT} shorter ones")
    return [*(bar for bar in rows if id(bar) in kept), hidden]


def _tree(lane: Sequence[Span | Record]) -> Iterator[tuple[Span | Record, int]]:
    """Yield parents before their children, each level by start; every item exactly once."""
    known = {item.span_id for item in lane}
    ordered = sorted(lane, key=lambda item: item.start_ns, reverse=True)
    below: dict[str, list[Span | Record]] = {}
    for item in ordered:
        if item.parent_id in known and item.parent_id is not None:
            below.setdefault(item.parent_id, []).append(item)
    # Items in a loop of parents have no root above them: they follow at the end.
    todo = [(item, 0) for item in ordered]
    todo += [(item, 0) for item in ordered if item.parent_id not in known]
    seen: set[int] = set()
    while todo:
        item, depth = todo.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        yield item, min(depth, DEPTH_LIMIT)
        todo.extend((child, depth + 1) for child in below.get(item.span_id, ()))


def _bar(item: Span | Record, depth: int, victim: Victim) -> Bar:
    end_ns = item.last_seen_ns if item.end_ns is None else item.end_ns
    start_s = (item.start_ns - victim.start_ns) / 1e9
    end_s = max(start_s, (end_ns - victim.start_ns) / 1e9)
    bar = Bar(
        kind=_kind(item),
        label=plain(_what(item), 160),
        start_s=start_s,
        end_s=end_s,
        open=item.end_ns is None,
        mark=_mark(item, victim),
        depth=depth,
        detail=plain(f"at {item.site} in {item.site.function}" if item.site else "", 160),
    )
    return replace(bar, label=_labelled(bar))


def _kind(item: Span | Record) -> str:
    match item:
        case Wait():
            return "wait"
        case Hold():
            return "hold"
        case Stall():
            return "stall"
        case _:
            return _lane(item)


def _what(item: Span | Record) -> str:
    where = f" at {short(item.site)}" if item.site else ""
    match item:
        case Wait():
            return f"waiting for {item.resource}"
        case Hold():
            return f"has {item.resource}" + (f", taken{where}" if where else "")
        case Stall():
            return f"blocks the event loop{where}"
        case Span():
            return item.name
        case _:
            return item.resource


def _mark(item: Span | Record, victim: Victim) -> str:
    if victim.blocking_span_id is not None and item.span_id == victim.blocking_span_id:
        return BLOCKED_HERE
    return LOST_HERE if item.site is not None and item.site == victim.leaf.site else ""


def _labelled(bar: Bar) -> str:
    # The mark comes first: a narrow screen cuts the end.
    before = f"▶ {bar.mark}: " if bar.mark else ""
    after = ", still open" if bar.open else ""
    return f"{before}{bar.label} · {duration(bar.end_s - bar.start_s)}{after}"
