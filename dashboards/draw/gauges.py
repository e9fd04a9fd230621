"""Loops, pools, locks and queues as gauges: how much is taken, and how many wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import altair as alt

from dashboards.draw.palette import KINDS, Ink
from dashboards.draw.stuck import process
from dashboards.draw.text import duration, plain
from dashboards.language import Say
from dashboards.words import now as words
from why504.diagnose.health import used
from why504.diagnose.leaves import POOLS
from why504.diagnose.now import Busy
from why504.names import THREADPOOL

ROW_HEIGHT = 46
BAR_HEIGHT = 12
BAR_BELOW_MIDDLE = 11
WORDS_ABOVE_MIDDLE = 8
EDGES = 14
"""What Streamlit takes of the height for the edges of a picture."""
SHOWN = 12
TAKEN_END = 1.0
"""Where a gauge is full, on the axis ..."""
QUEUE_START, QUEUE_END = 1.08, 2.0
"""... and between which the longest queue is drawn."""
STRIPES = 40
UNKNOWN = 0.5
"""Of a pool whose size nobody told, so much is drawn, without an outline."""

Row = dict[str, Any]


def gauge_data(resources: Sequence[Busy], say: Say) -> list[Row]:
    """Return one row a resource, in the order given, at most twelve: its words and lengths."""
    shown = resources[:SHOWN]
    names = Counter(busy.resource for busy in shown)
    longest = max((busy.waiters for busy in shown), default=0)
    return [
        {
            "row": number,
            "text": " · ".join((_name(busy, names), *told(busy, say))),
            "what": plain(f"{busy.resource} {busy.instance}", 80),
            "taken": _share(busy) * TAKEN_END,
            "queue": QUEUE_START + (QUEUE_END - QUEUE_START) * busy.waiters / (longest or 1),
            "waits": busy.waiters,
            "sized": _capacity(busy) is not None,
            "use": told(busy, say)[0],
            "wait": told(busy, say)[1],
        }
        for number, busy in enumerate(shown)
    ]


def told(busy: Busy, say: Say) -> tuple[str, str]:
    """Return how much of a resource is taken, and who waits, in words."""
    waits = say(words.GAUGE_QUIET)
    if busy.waiters:
        age = duration(busy.longest_wait_s)
        waits = say(words.GAUGE_WAIT, count=busy.waiters, age=age)
    return _use(busy, say), waits


def _use(busy: Busy, say: Say) -> str:
    if busy.capacity is not None:
        return say(words.GAUGE_POOL, used=used(busy), capacity=busy.capacity)
    if busy.oldest is None:
        return say(words.GAUGE_FREE)
    if _capacity(busy) is None:
        return say(words.GAUGE_HELD, used=busy.units)
    word = words.GAUGE_LOOP if busy.resource.startswith("loop:") else words.GAUGE_LOCK
    return say(word, age=duration(busy.oldest.age_s))


def _capacity(busy: Busy) -> int | None:
    # Only pools have several units: a loop runs one thing, and a lock has one holder that counts.
    several = (*POOLS, "limiter:", THREADPOOL)
    return busy.capacity if busy.resource.startswith(several) else 1


def _share(busy: Busy) -> float:
    capacity = _capacity(busy)
    if capacity is None:
        return UNKNOWN if busy.units else 0.0
    return min(1.0, used(busy) / capacity) if capacity else 1.0


def _name(busy: Busy, names: Counter[str]) -> str:
    """Return the resource; with its process where several have one of that name."""
    if names[busy.resource] > 1 and busy.instance:
        return plain(f"{busy.resource} ({process(busy.instance)})", 80)
    return plain(busy.resource, 80)


def chart(resources: Sequence[Busy], ink: Ink, say: Say) -> alt.LayerChart:
    """Return a row a resource: its words, and below them its bar and its queue."""
    rows = gauge_data(resources, say)
    layers = [
        _bar(rows, "taken", say, color=KINDS["hold"]),
        _bar(
            [row for row in rows if row["sized"]],
            "full", say, filled=False, stroke=ink.strong, strokeWidth=1.2,
        ),
        _bar(
            [row for row in rows if row["waits"]],
            "queue", say, color=KINDS["wait"], fillOpacity=0.35,
        ),
        _stripes(rows),
        _words(rows, ink),
    ]  # fmt: skip
    return alt.LayerChart(layer=layers, height=ROW_HEIGHT * max(1, len(rows)) + EDGES)


def _bar(rows: Sequence[Row], length: str, say: Say, **look: Any) -> alt.Chart:
    """Return one bar a row that has it, up to the field named by `length`."""
    start = QUEUE_START if length == "queue" else 0.0
    data = [{**row, "start": start, "full": TAKEN_END} for row in rows]
    titles = {"what": words.GAUGE_WHAT, "use": words.GAUGE_TAKEN, "wait": words.GAUGE_WAITING}
    drawn: alt.Chart = (
        alt.Chart(alt.InlineData(values=data))
        .mark_bar(size=BAR_HEIGHT, yOffset=BAR_BELOW_MIDDLE, **look)
        .encode(
            x=_across("start"),
            x2=alt.X2(f"{length}:Q"),
            y=_row(),
            tooltip=[alt.Tooltip(f"{key}:N", title=say(said)) for key, said in titles.items()],
        )
    )
    return drawn


def _across(field: str) -> alt.X:
    return alt.X(f"{field}:Q", scale=alt.Scale(domain=[0, QUEUE_END], nice=False), axis=None)


def _row() -> alt.Y:
    return alt.Y("row:O", axis=None, scale=alt.Scale(padding=0))


def _words(rows: Sequence[Row], ink: Ink) -> alt.Chart:
    drawn: alt.Chart = (
        alt.Chart(alt.InlineData(values=list(rows)))
        .mark_text(
            align="left",
            fontSize=12,
            dy=-WORDS_ABOVE_MIDDLE,
            color=ink.strong,
            limit=alt.ExprRef("width - 6"),
        )
        .encode(x=alt.XValue(2), y=_row(), text=alt.Text("text:N"))
    )
    return drawn


def stripe_data(rows: Sequence[Row]) -> list[Row]:
    """Return the stripes of the queues, evenly spaced."""
    apart = (QUEUE_END - QUEUE_START) / STRIPES
    return [
        {"row": row["row"], "at": QUEUE_START + apart * number}
        for row in rows
        if row["waits"]
        for number in range(int((row["queue"] - QUEUE_START) / apart) + 1)
    ]


def _stripes(rows: Sequence[Row]) -> alt.Chart:
    drawn: alt.Chart = (
        alt.Chart(alt.InlineData(values=stripe_data(rows)))
        .mark_tick(
            size=BAR_HEIGHT,
            thickness=1.5,
            yOffset=BAR_BELOW_MIDDLE,
            orient="vertical",
            color=KINDS["wait"],
        )
        .encode(x=_across("at"), y=_row())
    )
    return drawn
