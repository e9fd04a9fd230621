"""The page `now`: is it healthy, and if not, who holds it up. It looks again by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import streamlit as st

from dashboards import live
from dashboards.draw import ages, seconds, stuck
from dashboards.draw.spec import spec
from dashboards.draw.text import duration, moment, percent, plain
from dashboards.views import measures, silence, standing
from dashboards.visit import Visit
from dashboards.words import common
from dashboards.words import now as words
from why504.diagnose import health as verdicts
from why504.diagnose.health import Health
from why504.diagnose.now import Now
from why504.model import Incident

EVERY_S: Final = 2.0
_SEEN: Final = "now_seen"
_SENTENCE: Final = 600
_INCIDENTS: Final = 3


def page(visit: Visit) -> None:
    """Draw what is going on, again every two seconds until that is paused."""
    folder = visit.settings.store
    if folder is None:
        silence.no_store(visit)
        return
    paused = st.toggle(visit.say(words.PAUSE), key="now_paused", help=visit.say(words.PAUSE_HELP))
    every_s = None if paused else EVERY_S
    st.fragment(_look, run_every=every_s)(visit, folder, paused=paused)


def _look(visit: Visit, folder: Path, *, paused: bool) -> None:
    seen = _seen(visit, folder, paused=paused)
    if seen.problem:
        st.error(visit.say(words.CANT_READ), icon=":material/sync_problem:")
        st.text(plain(seen.problem))
    if seen.now is None:
        return
    said = words.AS_OF_PAUSED if paused else words.AS_OF
    st.text(visit.say(said, time=moment(seen.now.at_ns, visit.zone, date=False)))
    measures.late(visit, seen.now)
    told = verdicts.health(seen.now, visit.settings.gateway_limit_s)
    if told.state == verdicts.UNHEARD and not seen.now.open:
        silence.nobody(visit, folder, seen.now, told)
        measures.measures(visit, seen.now, told)
    else:
        _draw(visit, seen.now, told)


def _seen(visit: Visit, folder: Path, *, paused: bool) -> live.Seen:
    """Return what there is to see; while it is paused a click does not change that."""
    kept: tuple[Path, live.Seen] | None = st.session_state.get(_SEEN)
    if kept is not None and kept[0] == folder:
        seen = kept[1] if paused else live.watch(folder).look()
    else:
        with st.spinner(visit.say(common.READING)):
            seen = live.watch(folder).look()
    st.session_state[_SEEN] = folder, seen
    return seen


def _draw(visit: Visit, now: Now, told: Health) -> None:
    silence.verdict(visit, told)
    _figures(visit, told)
    measures.measures(visit, now, told)
    _blocker(visit, now)
    _incidents(visit, now)
    left, right = st.columns(2, gap="medium")
    with left:
        _seconds(visit, now)
    with right:
        _ages(visit, now, told)
    standing.tabs(visit, now)


def _figures(visit: Visit, told: Health) -> None:
    figures = {"timeouts": told.timeouts, "open": told.open, "slow": told.slow}
    if told.late and told.limit_s:
        limit = duration(told.limit_s)
        lines = [visit.say(words.FIGURES_LATE, **figures, late=told.late, limit=limit)]
    else:
        lines = [visit.say(words.FIGURES, **figures)]
    if told.state == verdicts.UNHEARD:
        lines.append(silence.since_when(visit, told))
    st.text("\n".join(lines))


def _blocker(visit: Visit, now: Now) -> None:
    """Draw who holds up most; nothing where everything is as usual."""
    worst = verdicts.blocker(now)
    if worst is None:
        return
    with st.container(border=True, key="blocker", gap="xsmall"):
        st.caption(visit.say(words.BLOCKS_MOST if worst.frees else words.OLDEST))
        st.text(stuck.blocker_lines(worst, visit.say))
        standing.open_request(visit, worst.trace_id)


def _incidents(visit: Visit, now: Now) -> None:
    for number, incident in enumerate(now.incidents[:_INCIDENTS]):
        finding = incident.finding
        with st.container(border=True, key=f"current_{number}", gap="xsmall"):
            st.caption(visit.say(words.CURRENT))
            st.text(
                visit.say(
                    words.CURRENT_OF,
                    cause=plain(f"{finding.cause} {finding.title}"),
                    sentence=plain(finding.sentence, _SENTENCE),
                    explained=now.explained,
                    victims=now.victims,
                    share=percent(finding.confidence),
                )
            )
            _open_incident(visit, incident)


def _open_incident(visit: Visit, incident: Incident) -> None:
    # The view knows the last minutes only, so its incident may be named by a later victim than the
    # one in the store; a trace that the gateway gave up on leads to it all the same.
    gave_up = [victim.trace_id for victim in incident.victims if victim.how == "timeout"]
    if gave_up:
        st.page_link(
            visit.pages["incident"],
            label=visit.say(words.OPEN_INCIDENT),
            icon=":material/account_tree:",
            query_params={"trace": gave_up[0]},
        )


def _seconds(visit: Visit, now: Now) -> None:
    st.caption(visit.say(words.SECONDS))
    drawn = seconds.chart(now.timeouts_per_s, visit.say)
    st.vega_lite_chart(spec=spec(drawn), key="seconds", alt=visit.say(words.ALT_SECONDS))


def _ages(visit: Visit, now: Now, told: Health) -> None:
    st.caption(visit.say(words.AGES))
    binned = verdicts.ages(now, told.limit_s)
    drawn = ages.chart(binned, told.limit_s, visit.ink, visit.say)
    st.vega_lite_chart(spec=spec(drawn), key="ages", alt=visit.say(words.ALT_AGES))
    if binned.longer:
        age = duration(binned.width_s * len(binned.counts))
        st.text(visit.say(words.AGES_OLDER, count=binned.longer, age=age))
    if told.limit_s is None:
        st.caption(visit.say(words.AGES_UNKNOWN))
