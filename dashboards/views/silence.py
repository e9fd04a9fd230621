"""The verdict of the page `now`, and what it says where there is nothing to see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import streamlit as st

from dashboards import live
from dashboards.draw.text import duration, moment, plain
from dashboards.language import Said
from dashboards.visit import Visit
from dashboards.words import common
from dashboards.words import now as words
from why504.diagnose import health as verdicts
from why504.diagnose.health import Health
from why504.diagnose.now import Now
from why504.errors import StoreUnavailable

_NAMES: Final = 20
_A_MINUTE_S: Final = 60.0
_VERDICTS: Final[dict[str, tuple[Said, Callable[..., Any], str]]] = {
    verdicts.HEALTHY: (words.HEALTHY, st.success, ":material/check_circle:"),
    verdicts.RECOVERING: (words.RECOVERING, st.warning, ":material/history:"),
    verdicts.SLOW: (words.SLOW, st.warning, ":material/hourglass_top:"),
    verdicts.HUNG: (words.HUNG, st.error, ":material/error:"),
    verdicts.UNHEARD: (words.UNHEARD, st.warning, ":material/signal_disconnected:"),
}


def verdict(visit: Visit, told: Health) -> None:
    """Draw the verdict in words, with a colour and an icon."""
    said, box, icon = _VERDICTS[told.state]
    box(f"**{visit.say(said)}**", icon=icon)


def since_when(visit: Visit, told: Health) -> str:
    """Return for how long nobody was heard of, in words."""
    if told.heard_s is None:
        return visit.say(words.NEVER_HEARD)
    return visit.say(words.UNHEARD_FOR, time=duration(told.heard_s))


def no_store(visit: Visit) -> None:
    """Say that no store was named, and how to see something."""
    st.info(visit.say(common.NO_STORE))
    _demo(visit)


def nobody(visit: Visit, folder: Path, now: Now, told: Health) -> None:
    """Say since when nobody is heard of, what was last, and what to do."""
    try:
        heard_ns = live.last_heard_ns(folder)
        if heard_ns is None:
            _empty(visit, folder)
            return
        verdict(visit, told)
        st.text(_since(visit, now, told, heard_ns))
        names_unheard(visit, now)
        _latest(visit, folder, heard_ns)
    except StoreUnavailable as error:
        st.error(visit.say(words.CANT_READ), icon=":material/sync_problem:")
        st.text(plain(str(error)))
    st.markdown(visit.say(words.NO_ALL_CLEAR))


def _since(visit: Visit, now: Now, told: Health, heard_ns: int) -> str:
    ago_s = (now.at_ns - heard_ns) / 1e9
    if told.heard_s is not None or ago_s < _A_MINUTE_S:
        return since_when(visit, told)
    return visit.say(words.OLD, time=moment(heard_ns, visit.zone), ago=duration(ago_s))


def _latest(visit: Visit, folder: Path, heard_ns: int) -> None:
    with st.spinner(visit.say(common.READING)):
        incident = live.latest_incident(folder, heard_ns)
    if incident is None:
        st.text(visit.say(words.OLD_NO_INCIDENT))
        return
    with st.container(border=True, key="latest", gap="xsmall"):
        st.caption(visit.say(words.OLD_INCIDENT))
        when = moment(incident.window.start_ns, visit.zone)
        st.text(f"{when}\n{plain(incident.finding.sentence, 600)}")
        st.page_link(
            visit.pages["incident"],
            label=visit.say(words.OPEN_INCIDENT),
            icon=":material/account_tree:",
            query_params={"incident": incident.id},
        )
    st.markdown(visit.say(words.OLD_WHAT_TO_DO))


def _empty(visit: Visit, folder: Path) -> None:
    st.info(visit.say(words.EMPTY))
    st.code("why504 receive --store FOLDER", language=None)
    st.text(visit.say(common.STORE, folder=plain(str(folder))))
    _demo(visit)


def _demo(visit: Visit) -> None:
    st.markdown(visit.say(common.TRY_THE_DEMO))
    st.code("make demo", language=None)


def names_unheard(visit: Visit, now: Now) -> None:
    """Name the processes that fell silent, if any."""
    if not now.silent:
        return
    names = [plain(name, 80) for name in now.silent[:_NAMES]]
    if len(now.silent) > _NAMES:
        names.append(visit.say(words.MORE_NAMES, count=len(now.silent) - _NAMES))
    st.text(visit.say(words.SILENT, names=", ".join(names)))
