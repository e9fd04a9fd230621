"""What the router told: the messages of its ledger, and one of them as people saw it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

import streamlit as st

from dashboards import links
from dashboards.draw import alert_tables as tables
from dashboards.draw import chatcard, deliveries
from dashboards.draw.spec import spec
from dashboards.draw.text import plain
from dashboards.visit import Visit
from dashboards.words import alerts as words
from why504.alerts.alert import Alert, Level
from why504.alerts.kept.reading import STATES, Reading, Sent

SHOWN: Final = 200
TOLD: Final = 500
LEVELS: Final[Mapping[str, Level]] = {"p0": Level.P0, "p1": Level.P1, "p2": Level.P2}


def section(visit: Visit, reading: Reading) -> None:
    """Draw the messages that the address asks for, and the one that it names.

    Raises:
        LedgerUnreadable: they can't be read now.
    """
    st.header(visit.say(words.MESSAGES))
    level, state = _filter(visit)
    found = reading.messages(SHOWN, level=LEVELS.get(level), state=state)
    now_ns = time.time_ns()
    if not found:
        st.info(visit.say(words.NO_MESSAGES))
        return
    st.caption(visit.say(words.DELIVERIES_READ))
    drawn = deliveries.chart(found, now_ns, visit.say, visit.ink)
    st.vega_lite_chart(spec=spec(drawn), key="deliveries", alt=visit.say(words.DELIVERIES_ALT))
    if len(found) == SHOWN:
        st.caption(visit.say(words.FIRST_OF, shown=SHOWN))
    wanted = st.query_params.get("message", "")
    asked = {name: value for name, value in (("level", level), ("state", state)) if value}
    ticked = st.dataframe(
        tables.message_rows(found, now_ns, visit.say, visit.zone),
        hide_index=True,
        key=f"messages_{wanted}_{level}_{state}",
        on_select="rerun",
        selection_mode="single-row",
    )["selection"]["rows"]
    named = next((n for n, one in enumerate(found) if one.request_id == wanted), None)
    number = st.selectbox(
        visit.say(words.OPEN_ONE),
        range(len(found)),
        index=named,
        format_func=lambda n: tables.message_name(found[n], visit.say, visit.zone),
        placeholder=visit.say(words.NONE_CHOSEN),
        key=f"message_{wanted}_{level}_{state}",
    )
    chosen = ticked[0] if ticked else number
    if chosen is not None and chosen != named:
        visit.go("alerts", **asked, message=found[chosen].request_id)
    if wanted:
        _opened(visit, reading, found[named] if named is not None else reading.message(wanted))


def _filter(visit: Visit) -> tuple[str, str]:
    """Offer levels and states, and return what is asked for; empty is all of them."""
    asked = (st.query_params.get("level", ""), st.query_params.get("state", ""))
    level = asked[0] if asked[0] in LEVELS else ""
    state = asked[1] if asked[1] in STATES else ""
    if (level, state) != asked:
        st.warning(visit.say(words.NO_FILTER))
    levels, states = ["", *LEVELS], ["", *STATES]
    left, right = st.columns(2)
    wanted_level = left.selectbox(
        visit.say(words.LEVEL),
        levels,
        index=levels.index(level),
        format_func=lambda one: one.upper() or visit.say(words.ANY_LEVEL),
        key=f"level_{level}_{state}",
    )
    wanted_state = right.selectbox(
        visit.say(words.STATE),
        states,
        index=states.index(state),
        format_func=lambda one: visit.say(words.STATES[one] if one else words.ANY_STATE),
        key=f"state_{level}_{state}",
    )
    if (wanted_level, wanted_state) != (level, state):
        told = (("level", wanted_level), ("state", wanted_state))
        visit.go("alerts", **{name: value for name, value in told if value})
    return level, state


def _opened(visit: Visit, reading: Reading, one: Sent | None) -> None:
    if one is None:
        st.warning(visit.say(words.NO_SUCH_MESSAGE))
        return
    st.header(visit.say(words.AS_SEEN))
    st.caption(visit.say(words.AS_SEEN_READ))
    removed = visit.say(words.REMOVED)
    with st.container(border=True):
        st.text(chatcard.as_seen(one.body, removed) or tables.NOTHING)
    if why := tables.reason(one, visit.say):
        st.text(f"{visit.say(words.WHY)}: {why}")
    told = reading.told(one.request_id, TOLD)
    if told:
        st.header(visit.say(words.TOLD))
        alerts = [alert for alert, _ in told]
        st.dataframe(tables.told_rows(alerts, visit.say, visit.zone), hide_index=True)
    known = (incident_of(reading, alert, key) for alert, key in told)
    if query := next(filter(None, known), None):
        open_incident(visit, query, key="of_message")


def incident_of(reading: Reading, alert: Alert, key: str) -> dict[str, str]:
    """Return what to ask the incident page for, of an alert; empty where nothing is known.

    The router keeps the cause of a P0 with the explorer's name of its incident; some alerts carry
    a trace of their own.
    """
    if finding := reading.finding(key):
        told = {"incident": str(finding.incident_id), "trace": str(finding.trace_id)}
        return {name: value for name, value in told.items() if value}
    for texts in (alert.labels, alert.annotations):
        for name in ("trace_id", "trace"):
            if links.TRACE_ID.fullmatch(texts.get(name, "")):
                return {"trace": texts[name]}
    return {}


def open_incident(visit: Visit, query: Mapping[str, str], key: str) -> None:
    """Draw the way to an incident."""
    with st.container(key=key):
        st.page_link(
            visit.pages["incident"],
            label=visit.say(words.INCIDENT_OF),
            icon=":material/account_tree:",
            query_params={name: plain(value, 80) for name, value in query.items()},
        )
