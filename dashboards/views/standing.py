"""What stands and waits, in tabs: a part of the page `now`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import streamlit as st

from dashboards.draw import gauges, stuck
from dashboards.draw.spec import spec
from dashboards.draw.text import plain
from dashboards.views import silence
from dashboards.visit import Visit
from dashboards.words import now as words
from why504.diagnose.health import queues
from why504.diagnose.now import Holding, Now

_ROWS: Final = "now_stuck"
_SHOWN: Final = "now_stuck_traces"
_TABLE_HEIGHT: Final = 420
_FEW_ROWS: Final = 10
_CARDS: Final = 12
_CARDS_A_RESOURCE: Final = 4
_FORMATS: Final = {"frees": "%d", "age": "%.1f s"}
_WIDE: Final = ("does", "held_by")


def tabs(visit: Visit, now: Now) -> None:
    """Draw what is stuck, who holds what, and the gauges; below what can't be seen."""
    said = [visit.say(word) for word in (words.STUCK, words.HOLDERS, words.RESOURCES)]
    first, second, third = st.tabs(said)
    with first:
        _stuck(visit, now)
    with second:
        _holders(visit, now)
    with third:
        _gauges(visit, now)
    _unseen(visit, now)


def open_request(visit: Visit, trace_id: str) -> None:
    """Draw the link to a request."""
    st.page_link(
        visit.pages["request"],
        label=visit.say(words.OPEN_IT),
        icon=":material/waterfall_chart:",
        query_params={"trace": trace_id},
    )


def _stuck(visit: Visit, now: Now) -> None:
    # A ticked row is one of the table as it was drawn before: rows move while a hang grows.
    ticked = st.session_state.get(_ROWS, {}).get("selection", {}).get("rows", [])
    before: Sequence[str] = st.session_state.get(_SHOWN, ())
    if ticked and ticked[0] < len(before):
        visit.go("request", trace=before[ticked[0]])
    shown = now.open[: stuck.SHOWN]
    st.session_state[_SHOWN] = [one.trace_id for one in shown]
    if not shown:
        st.text(visit.say(words.NOTHING_OPEN))
        return
    st.caption(visit.say(words.STUCK_READ))
    if len(now.open) > len(shown):
        st.text(visit.say(words.FIRST_OF, shown=len(shown), count=len(now.open)))
    st.dataframe(
        stuck.stuck_rows(shown, visit.say),
        hide_index=True,
        height="auto" if len(shown) <= _FEW_ROWS else _TABLE_HEIGHT,
        column_config=_columns(visit),
        key=_ROWS,
        on_select="rerun",
        selection_mode="single-row",
    )


def _columns(visit: Visit) -> Mapping[str, Any]:
    config: dict[str, Any] = {}
    for name, said in words.COLUMNS.items():
        label, asked = visit.say(said), words.COLUMN_HELP.get(name)
        hint = visit.say(asked) if asked else None
        if name in _FORMATS:
            column = st.column_config.NumberColumn(label, help=hint, format=_FORMATS[name])
        elif name in _WIDE:
            column = st.column_config.TextColumn(label, help=hint, width="medium")
        else:
            column = st.column_config.TextColumn(label, help=hint)
        config[name] = column
    return config


def _holders(visit: Visit, now: Now) -> None:
    if not now.holders:
        st.text(visit.say(words.NOTHING_HELD))
        return
    st.caption(visit.say(words.HOLDERS_READ))
    waiting = queues(now)
    for number, (holding, more) in enumerate(_cards(now)):
        with st.container(border=True, key=f"holder_{number}", gap="xsmall"):
            st.text(plain(holding.route, stuck.CELL))
            queued = waiting.get((holding.resource, holding.instance), ())
            st.text(stuck.holder_lines(holding, queued, more, visit.say))
            open_request(visit, holding.trace_id)


def _cards(now: Now) -> list[tuple[Holding, int]]:
    """Return whom to show, some a resource, and at each one's last how many more there are."""
    held = {(busy.resource, busy.instance): busy.units for busy in now.resources}
    drawn: Counter[tuple[str, str]] = Counter()
    chosen: list[tuple[Holding, int]] = []
    for holding in now.holders:
        key = holding.resource, holding.instance
        most = _CARDS_A_RESOURCE if holding.waiters else 1
        if drawn[key] < most and len(chosen) < _CARDS:
            drawn[key] += 1
            chosen.append((holding, held.get(key, 0) - most if drawn[key] == most else 0))
    return chosen


def _gauges(visit: Visit, now: Now) -> None:
    if not now.resources:
        st.text(visit.say(words.GAUGES_NONE))
        return
    drawn = gauges.chart(now.resources, visit.ink, visit.say)
    st.vega_lite_chart(spec=spec(drawn), key="gauges", alt=visit.say(words.ALT_GAUGES))
    if len(now.resources) > gauges.SHOWN:
        count = len(now.resources)
        st.text(visit.say(words.FIRST_OF, shown=gauges.SHOWN, count=count))
    st.caption(visit.say(words.GAUGES_READ))


def _unseen(visit: Visit, now: Now) -> None:
    if not (now.silent or now.dropped or now.refused):
        return
    st.header(visit.say(words.UNSEEN))
    silence.names_unheard(visit, now)
    for said, count in ((words.DROPPED, now.dropped), (words.REFUSED, now.refused)):
        if count:
            st.text(visit.say(said, count=count))
