"""A trace as it is stored: rows for a table, and a waterfall as text to copy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from dashboards.draw.bars import Bar
from dashboards.draw.content import without_content
from dashboards.draw.text import duration, plain
from dashboards.language import Say
from dashboards.words import request as words
from why504.model import Evidence, Record, Span, Victim

ROWS: Final = 500
CELL: Final = 300
ATTRIBUTES: Final = 2_000


def raw_rows(trace: Evidence, start_ns: int, say: Say) -> tuple[dict[str, Sequence[str]], int]:
    """Return at most 500 rows by start, and how many there are.

    Args:
        trace: of one request.
        start_ns: Unix nanoseconds from which times are counted.
        say: for the names of the columns.
    """
    items: list[Span | Record] = [*trace.spans, *trace.waits, *trace.holds, *trace.stalls]
    items.sort(key=lambda item: item.start_ns)
    shown = items[:ROWS]
    columns = {
        "start": [f"{(item.start_ns - start_ns) / 1e9:.3f} s" for item in shown],
        "length": [_length(item, say) for item in shown],
        "what": [plain(_name(item), CELL) for item in shown],
        "kind": [_kind(item) for item in shown],
        "service": [plain(item.service, CELL) for item in shown],
        "status": [plain(_status(item), 20) for item in shown],
        "site": [plain(str(item.site or ""), CELL) for item in shown],
        "span": [item.span_id for item in shown],
        "parent": [item.parent_id or "" for item in shown],
        "attributes": [_attributes(item) for item in shown],
    }
    return {say(words.COLUMNS[name]): cells for name, cells in columns.items()}, len(items)


def as_text(victim: Victim, rows: Sequence[Bar], end: str) -> str:
    """Return the waterfall for a chat or a ticket: one line a bar, seconds in front."""
    lines = [f"{plain(victim.route)}  {plain(victim.trace_id, 40)}  {end}"]
    for bar in rows:
        if bar.kind in ("lane", "note"):
            lines.append(bar.label if bar.kind == "lane" else f"  {bar.label}")
            continue
        where = f"  [{bar.detail}]" if bar.detail else ""
        indent = "  " * (bar.depth + 1)
        lines.append(f"{bar.start_s:9.3f} {bar.end_s:9.3f}{indent}{bar.label}{where}")
    return "\n".join(lines)


def _length(item: Span | Record, say: Say) -> str:
    end_ns = item.last_seen_ns if item.end_ns is None else item.end_ns
    after = say(words.STILL_OPEN) if item.end_ns is None else ""
    return f"{duration(max(0, end_ns - item.start_ns) / 1e9)}{after}"


def _name(item: Span | Record) -> str:
    return item.name if isinstance(item, Span) else item.resource


def _status(item: Span | Record) -> str:
    return item.status if isinstance(item, Span) else item.outcome


def _kind(item: Span | Record) -> str:
    return plain(item.kind, 20) if isinstance(item, Span) else type(item).__name__.lower()


def _attributes(item: Span | Record) -> str:
    told = json.dumps(dict(without_content(item.attributes)), ensure_ascii=False, default=str)
    return plain(told, ATTRIBUTES)
