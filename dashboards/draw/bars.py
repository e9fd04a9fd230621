"""Lays out one 504 on one clock: a row a span or record, in lanes, ready to be drawn.

Seconds count from the moment at which the gateway got the request. Waits, holds and stalls are
bars like spans are (docs/how-evidence-travels.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from dashboards.draw.text import duration, plain, short
from dashboards.language import Say
from dashboards.words import request as words
from why504 import names
from why504.model import Evidence, Hold, Record, Span, Stall, Victim, Wait

LANE_LIMIT = 40
DEPTH_LIMIT = 8
BLOCKED_HERE: Final = "blocked"
LOST_HERE: Final = "lost"
MARKS: Final = {BLOCKED_HERE: words.BLOCKED_HERE, LOST_HERE: words.LOST_HERE}
ALWAYS: Final = ("gateway", "application")
"""Lanes that are there even if nothing is known of them: that says something too."""
_LANES: Final = (
    (names.DB_SYSTEM, "database"),
    (names.MESSAGING_SYSTEM, "broker"),
    (names.GEN_AI_PROVIDER, "llm"),
    (names.GEN_AI_OPERATION, "llm"),
)
"""Attribute of a span -> its lane; the first that it has."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One row: a stretch of time with its words. `note` and `lane` rows have no length."""

    kind: str
    """gateway, application, database, broker, llm, peer, wait, hold, stall; lane for a heading,
    note for a remark."""
    label: str
    start_s: float = 0.0
    end_s: float = 0.0
    open: bool = False
    """Not ended when last heard of, at `end_s`."""
    mark: str = ""
    """`blocked`, `lost` or empty."""
    depth: int = 0
    detail: str = ""


def bars(victim: Victim, own: Evidence, holder: Evidence | None, say: Say) -> list[Bar]:
    """Return the rows of one request from top to bottom, and below them its holder's trace."""
    rows: list[Bar] = []
    shown = _all(own, victim)
    for kind, title in words.LANES.items():
        lane = [item for item in shown if _lane(item) == kind]
        if lane or kind in ALWAYS:
            rows.append(Bar("lane", say(title)))
            rows.extend(_rows(lane, victim, say) or [_missing(kind, victim, say)])
        if kind == "application":
            rows.extend(_afterwards(shown, victim, say))
    if holder is not None:
        trace = say(words.TRACE_LANE, trace=plain(victim.holder_trace_id or "", 40))
        rows.append(Bar("lane", say(words.HELD_BY_LANE, who=plain(victim.held_by) or trace)))
        others = _rows(_all(holder, victim), victim, say)
        rows.extend(others or [Bar("note", say(words.NO_HOLDER))])
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
        kind = item.resource.partition(":")[0]
        return {"db.lock": "database", "broker": "broker"}.get(kind, "application")
    if item.service == names.GATEWAY_SERVICE:
        return "gateway"
    told = next((lane for name, lane in _LANES if name in item.attributes), None)
    return told or ("peer" if item.kind == "client" else "application")


def _afterwards(shown: Sequence[Span | Record], victim: Victim, say: Say) -> Iterator[Bar]:
    """Yield what kept it after the span that it is told by had ended: a pause, a gap."""
    blocking = next((item for item in shown if item.span_id == victim.blocking_span_id), None)
    if blocking is None or blocking.end_ns is None or not _ended_before(blocking.end_ns, victim):
        return
    start_s = (blocking.end_ns - victim.start_ns) / 1e9
    end_s = (victim.gave_up_ns - victim.start_ns) / 1e9
    bar = Bar("wait", plain(victim.blocked_in, 160), start_s, end_s, mark=BLOCKED_HERE)
    yield replace(bar, label=_labelled(bar, say))


def _ended_before(end_ns: int, victim: Victim) -> bool:
    # Clocks of a gateway and of a service may differ by some milliseconds.
    return victim.gave_up_ns - end_ns > 0.05 * (victim.gave_up_ns - victim.start_ns)


def _missing(kind: str, victim: Victim, say: Say) -> Bar:
    if kind == "application":
        return Bar("note", say(words.NO_SPAN if victim.reached_app else words.NEVER_GOT_HERE))
    gave_up_s = (victim.gave_up_ns - victim.start_ns) / 1e9
    label = f"{plain(victim.route)} · {duration(gave_up_s)}"
    return Bar("gateway", label, end_s=gave_up_s)


def _rows(lane: Sequence[Span | Record], victim: Victim, say: Say) -> list[Bar]:
    rows = [_bar(item, depth, victim, say) for item, depth in _tree(lane)]
    if len(rows) <= LANE_LIMIT:
        return rows
    longest = sorted(rows, key=lambda bar: (bar.mark == "", bar.start_s - bar.end_s))[:LANE_LIMIT]
    kept = {id(bar) for bar in longest}
    hidden = Bar("note", say(words.SHORTER, number=len(rows) - LANE_LIMIT))
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


def _bar(item: Span | Record, depth: int, victim: Victim, say: Say) -> Bar:
    end_ns = item.last_seen_ns if item.end_ns is None else item.end_ns
    start_s = (item.start_ns - victim.start_ns) / 1e9
    site = item.site
    where = say(words.AT, site=site, function=site.function) if site else ""
    bar = Bar(
        kind=_kind(item),
        label=plain(_what(item, say), 160),
        start_s=start_s,
        end_s=max(start_s, (end_ns - victim.start_ns) / 1e9),
        open=item.end_ns is None,
        mark=_mark(item, victim),
        depth=depth,
        detail=plain(where, 160),
    )
    return replace(bar, label=_labelled(bar, say))


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


def _what(item: Span | Record, say: Say) -> str:
    match item:
        case Wait():
            return say(words.WAITING, resource=item.resource)
        case Hold():
            said = words.HAS_TAKEN if item.site else words.HAS
            return say(said, resource=item.resource, site=item.site and short(item.site))
        case Stall():
            said = words.BLOCKS_AT if item.site else words.BLOCKS
            return say(said, site=item.site and short(item.site))
        case Span():
            return item.name
        case _:
            return item.resource


def _mark(item: Span | Record, victim: Victim) -> str:
    if victim.blocking_span_id is not None and item.span_id == victim.blocking_span_id:
        over = item.end_ns is not None and _ended_before(item.end_ns, victim)
        return "" if over else BLOCKED_HERE
    return LOST_HERE if item.site is not None and item.site == victim.leaf.site else ""


def _labelled(bar: Bar, say: Say) -> str:
    # The mark comes first: a narrow screen cuts the end.
    before = f"▶ {say(MARKS[bar.mark])}: " if bar.mark else ""
    after = say(words.STILL_OPEN) if bar.open else ""
    return f"{before}{bar.label} · {duration(bar.end_s - bar.start_s)}{after}"
