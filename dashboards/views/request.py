"""The page of one request: its waterfall, its holder's below on the same clock, and the stacks."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboards import evidence, links
from dashboards.draw import bars, raw, stack, waterfall
from dashboards.draw.ending import ending
from dashboards.draw.spec import spec
from dashboards.draw.tables import leaf_words
from dashboards.draw.text import moment, plain
from dashboards.views import opening
from dashboards.views.lines import lines
from dashboards.visit import Visit
from dashboards.words import common
from dashboards.words import request as words
from why504.diagnose.single import as_victim
from why504.errors import StoreUnavailable
from why504.model import Evidence, Incident, Record, Site, Span, Victim


def page(visit: Visit) -> None:
    """Draw the request that the address names; the first 504 where it names none."""
    opened = opening.opened(visit)
    if opened is None:
        return
    folder, incidents = opened
    wanted = st.query_params
    # A link from this page to itself leaves the browser's address as it was.
    wanted.from_dict(wanted.to_dict())
    try:
        asked = links.padded(wanted.get("trace", ""))
        choice = links.choose(incidents, wanted.get("incident", ""), asked)
        if asked and choice.missing == "trace":
            _stranger(visit, folder, asked, wanted.get("holder", ""))
        elif choice.victim is not None and opening.say_missing(visit, choice):
            _neighbours(visit, choice.incident, choice.victim)
            _request(visit, folder, choice.victim, choice.incident.finding.site)
    except StoreUnavailable as error:
        st.error(visit.say(common.CANT_READ))
        st.text(plain(str(error)))


def _stranger(visit: Visit, folder: Path, trace_id: str, holder: str) -> None:
    """Draw a request that is none of the victims: open still, answered, or left out of a sample."""
    if not links.TRACE_ID.fullmatch(trace_id):
        st.warning(visit.say(words.NO_TRACE_ID))
        opening.to_the_list(visit)
        return
    found = as_victim(evidence.trace(folder, trace_id))
    if found is None:
        st.warning(visit.say(words.NO_SUCH_TRACE))
        opening.to_the_list(visit)
        return
    st.info(visit.say(words.NOT_A_504))
    _request(visit, folder, links.held(found, holder), None)


def _neighbours(visit: Visit, incident: Incident, victim: Victim) -> None:
    """Offer the way back, and to the 504 before and after this one."""
    here = next(n for n, other in enumerate(incident.victims) if other is victim)
    row = st.container(horizontal=True, gap="medium")
    row.page_link(
        visit.pages["incident"],
        label=visit.say(words.BACK),
        icon=":material/account_tree:",
        query_params={"incident": incident.id, "trace": victim.trace_id},
    )
    for other, said, icon in (
        (here - 1, words.EARLIER, ":material/arrow_back:"),
        (here + 1, words.LATER, ":material/arrow_forward:"),
    ):
        if 0 <= other < len(incident.victims):
            query = {"incident": incident.id, "trace": incident.victims[other].trace_id}
            label = visit.say(said)
            row.page_link(visit.pages["request"], label=label, icon=icon, query_params=query)


def _request(visit: Visit, folder: Path, victim: Victim, cause: Site | None) -> None:
    """Draw it; `cause` is the line of its incident's cause."""
    own = evidence.trace(folder, victim.trace_id)
    holder = _holder(folder, victim)
    st.title(visit.say(words.TITLE))
    _summary(visit, victim)
    _elsewhere(visit, victim)
    rows = bars.bars(victim, own, holder, visit.say)
    end = ending(victim, visit.say)
    after_s = (victim.gave_up_ns - victim.start_ns) / 1e9
    drawn = waterfall.chart(rows, after_s, end, visit.ink, visit.say)
    st.vega_lite_chart(spec=spec(drawn), key="waterfall", alt=visit.say(words.ALT))
    st.caption(visit.say(words.LEGEND))
    _stacks(visit, victim, own, holder, cause)
    _as_text(visit, raw.as_text(victim, rows, end))
    _raw(visit, victim, own)


# What is folded is drawn once it is opened: it would keep the browser busy before that.
@st.fragment
def _as_text(visit: Visit, text: str) -> None:
    with st.expander(visit.say(words.AS_TEXT), key="as_text", on_change="rerun") as folded:
        if folded.open:
            st.code(text, language=None)


def _holder(folder: Path, victim: Victim) -> Evidence | None:
    if victim.holder_trace_id is None or victim.holder_trace_id == victim.trace_id:
        return None
    return evidence.trace(folder, victim.holder_trace_id)


def _summary(visit: Visit, victim: Victim) -> None:
    say = visit.say
    began = say(words.BEGAN, time=moment(victim.start_ns, visit.zone), zone=visit.zone_name)
    facts = [plain(victim.route), began]
    if victim.blocked_in:
        reached = say(words.YES if victim.reached_app else words.NO)
        facts += [
            say(words.BLOCKED_IN, what=plain(victim.blocked_in)),
            say(words.HELD_BY, who=plain(victim.held_by) or say(words.NOBODY)),
            say(words.COMES_DOWN_TO, leaf=leaf_words(victim.leaf)),
            say(words.REACHED, answer=reached),
        ]
    st.text("\n".join([*facts, say(words.TRACE, trace=plain(victim.trace_id, 40))]))


def _elsewhere(visit: Visit, victim: Victim) -> None:
    """Offer the same trace in other programs, and the holder as a request of its own."""
    row = st.container(horizontal=True, gap="medium")
    if victim.holder_trace_id and victim.holder_trace_id != victim.trace_id:
        row.page_link(
            visit.pages["request"],
            label=visit.say(words.HOLDER_PAGE),
            icon=":material/front_hand:",
            query_params={"trace": victim.holder_trace_id},
        )
    for address, said in (
        (visit.settings.trace_url, words.IN_TEMPO),
        (visit.settings.langfuse_url, words.IN_LANGFUSE),
    ):
        if url := links.elsewhere(address, victim.trace_id):
            row.link_button(visit.say(said), url)


def _stacks(
    visit: Visit, victim: Victim, own: Evidence, holder: Evidence | None, cause: Site | None
) -> None:
    site = victim.leaf.site or cause
    here = _told_at(own, victim.blocking_span_id, site)
    there = _told_at(holder, None, site) if holder else None
    for title, item in ((words.OWN_STACK, here), (words.HOLDERS_STACK, there)):
        if item is not None:
            st.header(visit.say(title))
            # Where it waits is not the line that blocks, if somebody else is shown who blocks it.
            known = site if holder or (site and stack.stands_at(item.stack, site)) else item.site
            st.caption(visit.say(words.STACK_READ))
            marked = stack.marked(item.stack, known, stack.own_paths(own, holder))
            lines(marked, "own" if title is words.OWN_STACK else "holders")


def _told_at(told: Evidence, span_id: str | None, site: Site | None) -> Span | Record | None:
    """Return what has the stack to show: one with the blamed line in it, if there is any."""
    stacks = list(stack.with_stack(told, span_id, site))
    blamed = (item for item in stacks if site and stack.stands_at(item.stack, site))
    return next(blamed, next(iter(stacks), None))


@st.fragment
def _raw(visit: Visit, victim: Victim, own: Evidence) -> None:
    with st.expander(visit.say(words.RAW), key="raw_spans", on_change="rerun") as folded:
        if not folded.open:
            return
        st.caption(visit.say(words.RAW_READ))
        rows, count = raw.raw_rows(own, victim.start_ns, visit.say)
        if count > raw.ROWS:
            st.caption(visit.say(words.RAW_FIRST, shown=raw.ROWS, count=count))
        st.dataframe(rows, hide_index=True, key="raw")
