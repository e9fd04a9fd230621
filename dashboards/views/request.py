"""One 504: its waterfall, its holder's below on the same clock, and the stacks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import streamlit as st

from dashboards import evidence, links
from dashboards.draw import bars, stack, waterfall
from dashboards.draw.palette import Ink
from dashboards.draw.tables import leaf_words
from dashboards.draw.text import plain
from dashboards.views import opening
from dashboards.visit import Visit
from why504.model import Evidence, Record, Site, Span, Victim

LEGEND = (
    "Each bar is a stretch of time. Striped: waiting. Outlined: where this request was blocked, "
    "and where its time was lost in the end. Fading to the right: still open when the process was "
    "last heard of. Point at a bar, or tap it, for its times and its line of code."
)


def page(visit: Visit) -> None:
    """Draw the request that the address names; the first 504 where it names none."""
    opened = opening.opened(visit)
    if opened is None:
        return
    folder, incidents = opened
    wanted = st.query_params
    choice = links.choose(incidents, wanted.get("incident", ""), wanted.get("trace", ""))
    opening.say_missing(visit, choice)
    if choice.victim is not None:
        _draw(folder, choice.victim, visit.ink)


def _draw(folder: Path, victim: Victim, ink: Ink) -> None:
    """Draw one 504 from what the store has of its trace and of its holder's.

    Raises:
        StoreUnavailable: the store can't be read now.
    """
    own = evidence.trace(folder, victim.trace_id)
    holder = _holder(folder, victim)
    _summary(victim)
    rows = bars.bars(victim, own, holder)
    gave_up_s = (victim.gave_up_ns - victim.start_ns) / 1e9
    st.altair_chart(waterfall.chart(rows, gave_up_s, victim.status, ink), key="waterfall")
    st.caption(LEGEND)
    _stacks(victim, own, holder)


def _holder(folder: Path, victim: Victim) -> Evidence | None:
    if victim.holder_trace_id is None or victim.holder_trace_id == victim.trace_id:
        return None
    return evidence.trace(folder, victim.holder_trace_id)


def _summary(victim: Victim) -> None:
    facts = [
        f"Blocked in: {plain(victim.blocked_in)}",
        f"Held by: {plain(victim.held_by) or 'nobody was seen to hold it'}",
        f"Comes down to: {leaf_words(victim.leaf)}",
        f"Reached the application: {'yes' if victim.reached_app else 'no'}",
        f"Trace: {plain(victim.trace_id, 40)}",
    ]
    st.text("\n".join(facts))


def _stacks(victim: Victim, own: Evidence, holder: Evidence | None) -> None:
    here = next(_with_stack(own, victim.blocking_span_id, None), None)
    there = next(_with_stack(holder, None, victim.leaf.site), None) if holder else None
    for title, item in (
        ("What this request was doing", here),
        ("What its holder was doing (→ marks the line that blocks)", there),
    ):
        if item is not None:
            st.subheader(title)
            st.code(
                stack.marked(item.stack, victim.leaf.site or item.site),
                language=None,
                wrap_lines=True,
            )


def _with_stack(
    evidence_: Evidence, span_id: str | None, site: Site | None
) -> Iterator[Span | Record]:
    """Yield what has a stack: the named span first, then what is at the site, then the rest."""
    everything: list[Span | Record] = [
        *evidence_.stalls,
        *evidence_.waits,
        *evidence_.holds,
        *evidence_.spans,
    ]
    told = [item for item in everything if item.stack]
    yield from (item for item in told if span_id is not None and item.span_id == span_id)
    yield from (item for item in told if site is not None and item.site == site)
    yield from told
