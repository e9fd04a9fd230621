"""The page about alerts: what burns, what was told, and what the next digest will say.

It reads the router's ledger and never writes: the router goes on beside it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final

import streamlit as st

from dashboards.draw import alert_tables as tables
from dashboards.draw import chatcard
from dashboards.draw.deliveries import seconds_of
from dashboards.draw.text import duration, moment, plain
from dashboards.ledger import ledger_of
from dashboards.runbooks import runbook_of
from dashboards.views import messages
from dashboards.visit import Visit
from dashboards.words import alerts as words
from dashboards.words import common
from why504.alerts.alert import Level
from why504.alerts.cards.digest import HOUR_NS, digest, due_before_ns
from why504.alerts.cards.frame import Place
from why504.alerts.kept.reading import Burning, Reading
from why504.errors import LedgerUnreadable

TILE_PX: Final = 171
"""Two of them fit beside each other on a phone."""


def page(visit: Visit) -> None:
    """Draw the page."""
    st.title(visit.say(common.ALERTS))
    file = ledger_of(visit.settings)
    if file is None:
        st.info(visit.say(words.NO_LEDGER))
        st.code(words.TRY_IT, language=None)
        return
    try:
        with Reading(file) as reading:
            _draw(visit, reading, file)
    except LedgerUnreadable as error:
        st.error(visit.say(words.UNREADABLE[error.why]))
        st.text(plain(str(error)))


def _draw(visit: Visit, reading: Reading, file: Path) -> None:
    now_ns = time.time_ns()
    when = moment(now_ns, visit.zone)
    named = plain(str(file))
    st.text(visit.say(words.LEDGER, file=named, when=when, zone=visit.zone_name))
    burning = reading.burning()
    states = reading.states()
    quiet = reading.quiet(now_ns)
    if not burning and not quiet and not sum(states.values()):
        st.info(visit.say(words.EMPTY))
        st.code(words.TRY_IT, language=None)
        return
    _tiles(visit, reading, burning, states)
    _burning(visit, reading, burning, now_ns)
    messages.section(visit, reading)
    st.header(visit.say(words.DIGEST))
    st.caption(visit.say(words.DIGEST_READ))
    if not quiet:
        st.text(visit.say(words.NO_DIGEST))
        return
    due = moment(due_before_ns(now_ns) + HOUR_NS, visit.zone)
    st.text(visit.say(words.DIGEST_AT, when=due, zone=visit.zone_name))
    body = digest(quiet, Place(language=visit.say.language)).body
    with st.container(border=True):
        st.text(chatcard.as_seen(body, visit.say(words.REMOVED)))


def _tiles(
    visit: Visit, reading: Reading, burning: Sequence[Burning], states: dict[str, int]
) -> None:
    say = visit.say
    alone = sum(one.by is None and one.alert.level <= Level.P1 for one in burning)
    told = reading.messages(messages.SHOWN, state="delivered")
    urgent_s = [seconds_of(one, 0) for one in told if one.level <= Level.P1 and one.taken_ns]
    typical = duration(median(urgent_s)) if urgent_s else tables.NOTHING
    tiles = (
        (words.BURNING_N, f"{len(burning):,}", words.BURNING_HELP),
        (words.NOBODY_N, f"{alone:,}", words.NOBODY_HELP),
        (words.DELIVERED_N, f"{states['delivered']:,}", words.DELIVERED_HELP),
        (words.WAITING_N, f"{states['waiting']:,}", words.WAITING_HELP),
        (words.DEAD_N, f"{states['dead']:,}", words.DEAD_HELP),
        (words.TYPICAL_N, typical, words.TYPICAL_HELP),
    )
    with st.container(horizontal=True, key="alert_tiles"):
        for label, figure, meaning in tiles:
            st.metric(say(label), figure, help=say(meaning), border=True, width=TILE_PX)


def _burning(visit: Visit, reading: Reading, burning: Sequence[Burning], now_ns: int) -> None:
    """Draw what fires, and for one of them the way to its incident and what to do."""
    st.header(visit.say(words.BURNING))
    if not burning:
        st.text(visit.say(words.NOTHING_BURNS))
        return
    st.dataframe(tables.burning_rows(burning, now_ns, visit.say, visit.zone), hide_index=True)
    number = st.selectbox(
        visit.say(words.CHOOSE_ALERT),
        range(len(burning)),
        format_func=lambda n: tables.alert_name(burning[n].alert, visit.say, visit.zone),
        key="burning",
    )
    one = burning[number]
    if query := messages.incident_of(reading, one.alert, one.incident):
        messages.open_incident(visit, query, key="of_alert")
    elif one.alert.level is Level.P0:
        st.caption(visit.say(words.NO_CAUSE))
    runbook = runbook_of(one.alert.name)
    if runbook is None:
        st.caption(visit.say(words.NO_RUNBOOK))
        return
    with st.expander(visit.say(words.RUNBOOK), icon=":material/menu_book:"):
        # A text of the repository, not of telemetry.
        st.markdown(runbook)
