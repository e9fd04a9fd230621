"""The page of one incident: what happened, why, and how that is known.

Whatever comes from telemetry is drawn by elements that interpret no markup; every text that goes
to a Markdown element is a constant of `dashboards.words`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import streamlit as st

from dashboards import links
from dashboards.draw import blame, chain
from dashboards.draw.spec import spec
from dashboards.draw.text import moment, percent, plain
from dashboards.views import comparing, graph, helping, opening, sharing, timeline, victims
from dashboards.visit import Visit
from dashboards.words import incident as words
from dashboards.words.engine import GLOSSARY, MECHANISMS
from why504.model import Finding, Incident

SENTENCES_SHOWN: Final = 12
_SHORT_TRACE: Final = 8


def page(visit: Visit) -> None:
    """Draw the incident that the address names; the latest where it names none."""
    opened = opening.opened(visit)
    if opened is None:
        return
    folder, incidents = opened
    wanted = st.query_params
    choice = links.choose(incidents, wanted.get("incident", ""), wanted.get("trace", ""))
    if not opening.say_missing(visit, choice):
        return
    incident = choice.incident
    began = moment(incident.window.start_ns, visit.zone)
    st.title(visit.say(words.TITLE, began=began, zone=visit.zone_name))
    _sentence(visit, choice)
    _finding(visit, incident.finding)
    if incident.caveats:
        _sentences(visit, visit.say(words.CAVEATS), incident.caveats)
    timeline.section(visit, folder, incident)
    graph.section(visit, folder, incident)
    _blames(visit, incident)
    comparing.section(visit, folder, incident)
    helping.section(visit, folder, incident)
    victims.section(visit, incident, choice.victim)
    sharing.section(visit, folder, incident)
    with st.expander(visit.say(words.GLOSSARY)):
        st.markdown(visit.say(GLOSSARY))


def _sentence(visit: Visit, choice: links.Choice) -> None:
    """Say why, and lead to one of the requests: the shortest way to the line that blocked."""
    finding = choice.incident.finding
    with st.container(border=True, key="sentence"):
        st.text(plain(finding.sentence, 600))
    st.text(_verdict(visit, finding))
    if choice.victim is not None:
        st.page_link(
            visit.pages["request"],
            label=visit.say(words.SEE_ONE),
            icon=":material/waterfall_chart:",
            query_params={"incident": choice.incident.id, "trace": choice.victim.trace_id},
        )


def _finding(visit: Visit, finding: Finding) -> None:
    advice = [f"{n}. {text}" for n, text in enumerate(finding.advice, 1)]
    _sentences(visit, visit.say(words.WHAT_TO_DO), advice)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _chain(visit, finding)
    with right:
        _sentences(visit, visit.say(words.FOR), [f"+ {text}" for text in finding.evidence_for])
        against = [f"− {text}" for text in finding.evidence_against]
        _sentences(visit, visit.say(words.AGAINST), against)


def _verdict(visit: Visit, finding: Finding) -> str:
    known = MECHANISMS.get(finding.mechanism)
    how = visit.say(known) if known else plain(finding.mechanism)
    spread = visit.say(words.SPREAD, how=how)
    if finding.cause == "UNKNOWN":
        return visit.say(words.UNKNOWN, title=plain(finding.title)) + f"\n{spread}"
    cause = visit.say(words.CAUSE, cause=plain(finding.cause), title=plain(finding.title))
    sure = visit.say(words.CONFIDENCE, share=percent(finding.confidence))
    return f"{cause}\n{spread}\n{sure}"


def _chain(visit: Visit, finding: Finding) -> None:
    st.header(visit.say(words.CHAIN))
    for number, step in enumerate(chain.steps(finding, visit.say)):
        if number:
            st.text(visit.say(words.BECAUSE))
        with st.container(border=True, key=f"step_{number}", gap="xsmall"):
            st.text(step.what)
            st.text("\n".join([*(f"• {sentence}" for sentence in step.evidence), step.lost]))
            _traces(visit, step.traces)


def _traces(visit: Visit, traces: Sequence[str]) -> None:
    """Lead to what the evidence names."""
    with st.container(horizontal=True, gap="medium"):
        for trace_id in traces:
            st.page_link(
                visit.pages["request"],
                label=visit.say(words.SEE_TRACE, trace=trace_id[:_SHORT_TRACE]),
                icon=":material/waterfall_chart:",
                query_params={"trace": trace_id},
            )


def _sentences(visit: Visit, title: str, sentences: Sequence[str]) -> None:
    st.header(title)
    told = "\n".join(plain(sentence) for sentence in sentences[:SENTENCES_SHOWN])
    st.text(told or visit.say(words.NOTHING_FOUND))


def _blames(visit: Visit, incident: Incident) -> None:
    st.header(visit.say(words.BLAMES))
    st.caption(visit.say(words.BLAMES_READ))
    drawn = blame.chart(incident.blames, visit.ink, visit.say)
    st.vega_lite_chart(spec=spec(drawn), key="blame", alt=visit.say(words.BLAMES_ALT))
