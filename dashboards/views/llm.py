"""The page about LLM calls: what became of them, what they were asked to wait, what they cost.

It is drawn from figures (`why504.diagnose.llm`); prompts and answers are in none of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import streamlit as st

from dashboards import evidence, links, usage
from dashboards.draw import llm as charts
from dashboards.draw import llm_tables as tables
from dashboards.draw.spec import spec
from dashboards.draw.text import moment, percent, plain
from dashboards.language import Said
from dashboards.views import opening
from dashboards.visit import Visit
from dashboards.words import common
from dashboards.words import llm as words
from why504.diagnose.llm import LlmUse
from why504.diagnose.llm_calls import Call
from why504.errors import StoreUnavailable
from why504.model import Incident

RANGE: Final = "range"
ALL: Final = "all"
TILE_PX: Final = 171
"""Two of them fit beside each other on a phone."""


def page(visit: Visit) -> None:
    """Draw the page: of the incident that the address names, or of all that is stored."""
    st.title(visit.say(common.LLM))
    folder = visit.settings.store
    if folder is None:
        opening.opened(visit)
        return
    try:
        with st.spinner(visit.say(common.READING)):
            found = evidence.incidents(folder)
            chosen = _chosen(visit, found)
            use = usage.during(folder, chosen) if chosen else usage.everything(folder)
    except StoreUnavailable as error:
        st.error(visit.say(common.CANT_READ))
        st.text(plain(str(error)))
        return
    if use is None:
        opening.opened(visit)
        return
    if found:
        _choose(visit, found, chosen)
    if not use.whole.calls and not use.pauses:
        _nothing(visit, use, chosen)
        return
    _draw(visit, use, chosen)


def _chosen(visit: Visit, found: Sequence[Incident]) -> Incident | None:
    wanted = st.query_params.get("incident", "")
    if st.query_params.get(RANGE) == ALL or not found:
        return None
    named = [incident for incident in found if incident.id == wanted]
    if wanted and not named:
        st.warning(visit.say(common.NO_SUCH_INCIDENT))
    return named[0] if named else found[0]


def _choose(visit: Visit, found: Sequence[Incident], chosen: Incident | None) -> None:
    """Offer another stretch of time; the choice is in the address."""
    offered: list[Incident | None] = [None, *found]

    def told(number: int) -> str:
        incident = offered[number]
        if incident is None:
            return visit.say(words.ALL)
        when = moment(incident.window.start_ns, visit.zone)
        cause = plain(incident.finding.cause, 20)
        return visit.say(words.ONE_INCIDENT, when=when, cause=cause, count=incident.count)

    number = st.selectbox(
        visit.say(words.SHOWN),
        range(len(offered)),
        index=next(n for n, one in enumerate(offered) if one is chosen),
        format_func=told,
        key=f"range_{chosen.id if chosen else ALL}",
    )
    wanted = offered[number]
    if wanted is not chosen:
        visit.go("llm", **({"incident": wanted.id} if wanted else {RANGE: ALL}))


def _nothing(visit: Visit, use: LlmUse, chosen: Incident | None) -> None:
    st.info(visit.say(words.NO_CALLS))
    if use.sampled:
        st.info(visit.say(words.SAMPLED))
    st.markdown(visit.say(words.WHAT_TELLS))
    if chosen is not None:
        st.page_link(
            visit.pages["llm"], label=visit.say(words.LOOK_AT_ALL), query_params={RANGE: ALL}
        )


def _draw(visit: Visit, use: LlmUse, chosen: Incident | None) -> None:
    start, end = (moment(ns, visit.zone) for ns in (use.focus.start_ns, use.focus.end_ns))
    st.text(visit.say(words.FIGURES_OF, start=start, end=end, zone=visit.zone_name))
    if use.sampled:
        st.info(visit.say(words.SAMPLED))
    _summary(visit, use)
    st.header(visit.say(words.BY_TIME))
    shaded = f" {visit.say(words.SHADED)}" if use.focus != use.window else ""
    st.caption(visit.say(words.BY_TIME_READ) + shaded)
    drawn = charts.outcome_chart(use, visit.say, visit.ink)
    st.vega_lite_chart(spec=spec(drawn), key="llm_outcomes", alt=visit.say(words.BY_TIME_ALT))
    if (latency := charts.latency_chart(use.models, visit.say, visit.ink)) is not None:
        st.header(visit.say(words.LATENCY))
        st.caption(visit.say(words.LATENCY_READ))
        st.vega_lite_chart(spec=spec(latency), key="llm_latency", alt=visit.say(words.LATENCY_ALT))
    _table(visit, words.MODELS, tables.model_rows(use.models, visit.say))
    _table(visit, words.ROUTES, tables.route_rows(use.routes, visit.say))
    if use.reasons:
        _table(visit, words.REASONS, tables.reason_rows(use, visit.say))
    st.header(visit.say(words.PAUSES))
    st.caption(visit.say(words.PAUSES_READ if use.pauses else words.NO_PAUSES))
    if use.pauses:
        st.dataframe(tables.pause_rows(use.pauses, visit.say), hide_index=True)
    if use.slowest:
        _slowest(visit, use.slowest, chosen)


def _table(visit: Visit, title: Said, rows: Mapping[str, Sequence[str | int]]) -> None:
    st.header(visit.say(title))
    st.dataframe(rows, hide_index=True)


def _summary(visit: Visit, use: LlmUse) -> None:
    """Draw the figures as tiles, each with what it means."""
    say, whole = visit.say, use.whole
    ended = whole.calls - whole.outcomes["open"]
    answered = percent(whole.outcomes["answered"] / ended) if ended else tables.NOTHING
    limits = say(words.OF, number=whole.unbounded, all=whole.limits_told)
    tiles = [
        (words.CALLS, f"{whole.calls:,}", words.CALLS_HELP),
        (words.ANSWERED_SHARE, answered, words.ANSWERED_SHARE_HELP),
        (words.OPEN, f"{whole.outcomes['open']:,}", words.OPEN_HELP),
        (words.REFUSED, f"{whole.refused:,}", words.REFUSED_HELP),
        (words.RETRIES, f"{whole.retries:,}", words.RETRIES_HELP),
        (words.FALLBACKS, f"{whole.fallbacks:,}", words.FALLBACKS_HELP),
        (words.NOT_SENT, f"{whole.outcomes['not_sent']:,}", words.NOT_SENT_HELP),
        (words.UNBOUNDED, limits if whole.limits_told else tables.NOTHING, words.UNBOUNDED_HELP),
        (words.MEDIAN, tables.seconds(whole.median_s), words.MEDIAN_HELP),
        (words.P99, tables.seconds(whole.p99_s), words.P99_HELP),
        (
            words.INPUT_TOKENS,
            tables.tokens(whole, whole.input_tokens),
            words.TOKENS_HELP,
        ),
        (
            words.OUTPUT_TOKENS,
            tables.tokens(whole, whole.output_tokens),
            words.TOKENS_HELP,
        ),
    ]
    if whole.first_s is not None:
        tiles.append((words.FIRST, tables.seconds(whole.first_s), words.FIRST_HELP))
    with st.container(horizontal=True, key="llm_tiles"):
        for label, figure, meaning in tiles:
            st.metric(say(label), figure, help=say(meaning), border=True, width=TILE_PX)


def _slowest(visit: Visit, calls: Sequence[Call], chosen: Incident | None) -> None:
    """Draw the list; ticking a row opens the request that made the call."""
    st.header(visit.say(words.SLOWEST))
    st.caption(visit.say(words.NO_PROMPTS))
    known = {"incident": chosen.id} if chosen else {}
    number = st.selectbox(
        visit.say(words.OPEN_ONE),
        range(len(calls)),
        format_func=lambda n: tables.call_name(calls[n], visit.say, visit.zone),
        key="slow_call",
    )
    trace_id = calls[number].trace_id
    with st.container(horizontal=True, vertical_alignment="center"):
        st.page_link(
            visit.pages["request"],
            label=visit.say(words.OPEN_REQUEST),
            icon=":material/waterfall_chart:",
            query_params={**known, "trace": trace_id},
        )
        if address := links.elsewhere(visit.settings.langfuse_url, trace_id):
            st.link_button(visit.say(words.OPEN_LANGFUSE), address, icon=":material/open_in_new:")
    told = st.dataframe(
        tables.call_rows(calls, visit.say, visit.zone),
        hide_index=True,
        key="slow_calls",
        on_select="rerun",
        selection_mode="single-row",
    )
    rows = told["selection"]["rows"]
    if rows:
        visit.go("request", **known, trace=calls[rows[0]].trace_id)
