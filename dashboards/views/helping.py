"""What would have helped, by playing the incident again: a part of the incident page.

It is played only when somebody asks for it, and what was asked is in the address: `replay=1`, and
`set=KNOB:VALUE;...`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import streamlit as st

from dashboards import playing
from dashboards.draw import helping as draw
from dashboards.draw.text import plain
from dashboards.visit import Visit
from dashboards.words import common
from dashboards.words import helping as words
from why504.diagnose.whatif.asking import CALLS, ELSEWHERE, PLACES, Asker, Knob, clamped
from why504.errors import StoreUnavailable
from why504.model import Incident

REPLAY: Final = "replay"
SET: Final = "set"
COUNTED: Final = frozenset({CALLS, PLACES})
_LONGEST_SET: Final = 2000
"""Characters of an address that are looked at."""


def section(visit: Visit, folder: Path, incident: Incident) -> None:
    """Draw it."""
    st.header(visit.say(words.TITLE))
    _part(visit, folder, incident)


@st.fragment
def _part(visit: Visit, folder: Path, incident: Incident) -> None:
    """Draw what a slider changes: the rest of the page stands still meanwhile."""
    st.caption(visit.say(words.READ))
    if st.query_params.get(REPLAY) != "1":
        st.button(visit.say(words.PLAY), key="replay", icon=":material/replay:", on_click=_play)
        return
    try:
        with st.spinner(visit.say(words.PLAYING)):
            asker = playing.asker(folder, incident)
    except StoreUnavailable as error:
        st.error(visit.say(common.CANT_READ))
        st.text(plain(str(error)))
        return
    if isinstance(asker, str):
        st.info(visit.say(words.NOT_KNOWN))
        st.text(plain(asker))
        return
    _tried(visit, asker)
    _sliders(visit, incident, asker)


def _play() -> None:
    st.query_params[REPLAY] = "1"


def _tried(visit: Visit, asker: Asker) -> None:
    st.text(visit.say(words.FAITHFUL, same=asker.same, requests=asker.requests))
    if not asker.tried:
        st.text(visit.say(words.NONE_TRIED))
        return
    st.markdown(visit.say(words.TRIED))
    chart = draw.chart(asker.tried, visit.ink, visit.say)
    st.vega_lite_chart(spec=chart, key="tried", alt=visit.say(words.ALT_TRIED))
    st.caption(visit.say(words.LEGEND))


def _sliders(visit: Visit, incident: Incident, asker: Asker) -> None:
    st.markdown(visit.say(words.ASK))
    st.caption(visit.say(words.ASK_READ))
    asked = _asked(st.query_params.get(SET, ""))
    keys = {knob.id: f"set_{incident.id}_{knob.id}" for knob in asker.knobs}
    settings: dict[str, float] = {}
    sides = st.columns(2, gap="large")
    for number, knob in enumerate(asker.knobs):
        with sides[number % 2]:
            value = asked.get(knob.id, knob.was)
            settings[knob.id] = _turned(visit, knob, value, keys[knob.id])
    changed = {k.id: settings[k.id] for k in asker.knobs if settings[k.id] != k.was}
    _remember(changed)
    told = asker.what_if(changed)
    said = visit.say(words.IF, change=plain(told.change)) if changed else ""
    st.text(said or visit.say(words.UNCHANGED))
    chart = draw.chart([replace(told, change="")], visit.ink, visit.say)
    st.vega_lite_chart(spec=chart, key="outcome", alt=visit.say(words.ALT_OUTCOME))
    if changed:
        back = {keys[knob.id]: _as_shown(knob, knob.was) for knob in asker.knobs}
        st.button(visit.say(words.AS_IT_WAS), key="as_it_was", on_click=_reset, args=(back,))


def _turned(visit: Visit, knob: Knob, value: float, key: str) -> float:
    """Draw a knob; return where it stands. Its words are telemetry, its label is not."""
    st.session_state.setdefault(key, _as_shown(knob, clamped(knob, value)))
    label = visit.say(words.KNOBS[knob.kind])
    with st.container(gap="xsmall"):
        st.text(plain(knob.what) or visit.say(words.OF_THE_GATEWAY))
        if knob.kind == ELSEWHERE:
            return float(st.toggle(label, key=key))
        shown = _as_shown(knob, knob.low), _as_shown(knob, knob.high), _as_shown(knob, knob.step)
        return float(st.slider(label, shown[0], shown[1], step=shown[2], key=key))


def _as_shown(knob: Knob, value: float) -> float | int | bool:
    """Return a value as its widget has it: of what is counted there is no half."""
    if knob.kind == ELSEWHERE:
        return value > 0
    return round(value) if knob.kind in COUNTED else float(value)


def _asked(text: str) -> dict[str, float]:
    """Return what an address sets: anything may stand there."""
    found: dict[str, float] = {}
    for part in text[:_LONGEST_SET].split(";"):
        name, _, value = part.partition(":")
        try:
            number = float(value)
        except ValueError:
            continue
        if math.isfinite(number):
            found[name] = number
    return found


def _remember(changed: Mapping[str, float]) -> None:
    """Put what is changed into the address."""
    if changed:
        st.query_params[SET] = ";".join(f"{name}:{value:g}" for name, value in changed.items())
    elif SET in st.query_params:
        del st.query_params[SET]


def _reset(values: Mapping[str, float | int | bool]) -> None:
    st.session_state.update(values)
