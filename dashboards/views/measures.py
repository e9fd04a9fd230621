"""What gauges tell of this moment, beside what spans show: a part of the page `now`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import streamlit as st

from dashboards.draw.text import duration, moment, plain
from dashboards.visit import Visit
from dashboards.words import now as words
from why504.diagnose.gauges import Standing
from why504.diagnose.health import Health
from why504.diagnose.now import Now

_SERVICES: Final = 6
_PROBLEMS: Final = 5
_NAME: Final = 80


def late(visit: Visit, now: Now) -> None:
    """Say how late the store is, if it is."""
    if now.lag_s:
        st.caption(visit.say(words.LATE, lag=duration(now.lag_s)))


def measures(visit: Visit, now: Now, told: Health) -> None:
    """Draw a card a service, and say what could not be read."""
    for number, one in enumerate(told.standings[:_SERVICES]):
        with st.container(border=True, key=f"gauges_{number}", gap="xsmall"):
            when = moment(one.told_ns, visit.zone, date=False)
            whose = visit.say(words.GAUGES_OF, service=plain(one.service, _NAME), time=when)
            st.text("\n".join([whose, *_lines(visit, one)]))
    problems = now.measured.problems if now.measured else ()
    if problems:
        st.warning(visit.say(words.NO_GAUGES), icon=":material/link_off:")
        st.text("\n".join(f"• {plain(problem)}" for problem in problems[:_PROBLEMS]))


def _lines(visit: Visit, one: Standing) -> Iterator[str]:
    if one.open is not None:
        age = duration(one.oldest_s or 0.0)
        yield visit.say(words.GAUGES_OPEN, count=one.open, age=age)
    if one.blocked:
        stall = duration(one.stall_s)
        yield visit.say(words.GAUGES_BLOCKED, count=one.blocked, all=one.processes, age=stall)
    for taken in one.taken:
        units = f"{taken.in_use:,}" + (f" / {taken.capacity:,}" if taken.capacity else "")
        name = plain(taken.name, _NAME)
        yield visit.say(words.GAUGES_TAKEN, name=name, units=units, waiting=taken.waiting)
