"""The list of incidents: when, how many, why; narrowed by filters that are in the address."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Final

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboards.draw import history
from dashboards.draw.spec import spec
from dashboards.draw.tables import routes_words
from dashboards.draw.text import duration, moment, percent, plain
from dashboards.ledger import ledger_of, levels_of
from dashboards.views import opening
from dashboards.visit import Visit
from dashboards.words import common
from dashboards.words import incidents as words
from why504.diagnose.causes import CAUSES, HEALTH_CHECK, NOTHING_TO_BLAME, UNKNOWN
from why504.diagnose.victims import NEW_INCIDENT_AFTER_NS
from why504.model import Incident

SHOWN: Final = 30
PERIODS_S: Final = {"all": None, "1h": 3600, "24h": 86_400, "7d": 7 * 86_400}
KNOWN: Final = frozenset(
    {UNKNOWN, *(cause.id for cause in (*CAUSES, NOTHING_TO_BLAME, HEALTH_CHECK))}
)
"""Causes that may stand in a link's words: those are read as Markdown."""


def page(visit: Visit) -> None:
    """Draw the list; each incident is a link to its page."""
    st.title(visit.say(common.INCIDENTS))
    opened = opening.opened(visit)
    if opened is None:
        return
    _, found = opened
    levels = levels_of(ledger_of(visit.settings), found)
    kept = _filtered(visit, found, levels)
    if not kept:
        st.info(visit.say(words.NONE_LEFT))
        return
    if len(kept) > 1:
        alt = visit.say(words.CHART)
        drawn = history.chart(kept, visit.zone, visit.ink, visit.say)
        st.vega_lite_chart(spec=spec(drawn), key="history", alt=alt)
    st.caption(visit.say(words.FOUND, zone=visit.zone_name))
    for number, incident in enumerate(kept[:SHOWN]):
        with st.container(border=True, key=f"incident_{number}", gap="xsmall"):
            _card(visit, incident, levels.get(incident.id, ""))
    if len(kept) > SHOWN:
        st.caption(visit.say(words.MORE, shown=SHOWN, count=len(kept)))


def _filtered(visit: Visit, found: Sequence[Incident], levels: Mapping[str, str]) -> list[Incident]:
    say, now_ns = visit.say, time.time_ns()
    causes = {"any": say(words.ANY)}
    causes |= {cause: cause for cause in sorted({i.finding.cause for i in found} & KNOWN)}
    columns = st.columns(5)
    periods = {key: say(words.PERIODS[key]) for key in PERIODS_S}
    period = _chosen(columns[0], "when", say(words.WHEN), periods)
    wanted = _chosen(columns[1], "cause", say(words.CAUSE), causes)
    statuses = {key: say(said) for key, said in words.STATUSES.items()}
    state = _chosen(columns[2], "status", say(words.STATUS), statuses)
    known = {"any": say(words.ANY)} | {name: name for name in sorted(set(levels.values()))}
    level = _chosen(columns[3], "level", say(words.LEVEL), known)
    text = columns[4].text_input(say(words.ROUTE), key="route", max_chars=200, bind="query-params")
    since_s = PERIODS_S[period]
    return [
        incident
        for incident in found
        if (since_s is None or incident.window.end_ns >= now_ns - since_s * 10**9)
        and wanted in ("any", incident.finding.cause)
        and state in ("any", status_of(incident, now_ns))
        and level in ("any", levels.get(incident.id))
        and any((text or "").lower() in name.lower() for name in incident.routes)
    ]


def _chosen(column: DeltaGenerator, key: str, label: str, options: Mapping[str, str]) -> str:
    """Return the key of the option that is chosen; the address has it, unless it is the first.

    A bound widget would put its words there, and they differ by language.
    """
    keys = list(options)
    asked = st.query_params.get(key, keys[0])
    index = keys.index(asked) if asked in keys else 0
    chosen: str = column.selectbox(
        label, keys, index=index, format_func=lambda name: options[name], key=f"filter_{key}"
    )
    if chosen != keys[0]:
        st.query_params[key] = chosen
    elif key in st.query_params:
        del st.query_params[key]
    return chosen


def status_of(incident: Incident, now_ns: int) -> str:
    """Return `on` while another 504 would still belong to it, else `over`."""
    return "on" if incident.window.end_ns > now_ns - NEW_INCIDENT_AFTER_NS else "over"


def _card(visit: Visit, incident: Incident, level: str) -> None:
    say, finding = visit.say, incident.finding
    began = moment(incident.window.start_ns, visit.zone)
    cause = finding.cause if finding.cause in KNOWN else "?"
    state = status_of(incident, time.time_ns())
    st.page_link(
        visit.pages["incident"],
        label=" · ".join(filter(None, [began, level, cause, say(words.STATUSES[state])])),
        icon=":material/local_fire_department:" if state == "on" else ":material/history:",
        query_params={"incident": incident.id},
    )
    named = finding.cause != UNKNOWN
    sure = say(words.CONFIDENCE, share=percent(finding.confidence)) if named else ""
    st.text(" · ".join(filter(None, [plain(finding.title), sure])))
    lasted = duration((incident.window.end_ns - incident.window.start_ns) / 1e9)
    facts = say(
        words.FACTS, count=incident.count, length=lasted, routes=routes_words(incident, say)
    )
    if incident.people is not None:
        facts += say(words.PEOPLE, people=incident.people)
    st.text(facts)
