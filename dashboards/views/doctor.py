"""The page `doctor`: the ladder of timeouts to scale, and what is wrong with it."""

from __future__ import annotations

from typing import Any, Final

import streamlit as st

from dashboards import ladder
from dashboards.draw import ladder as drawing
from dashboards.draw.spec import spec
from dashboards.draw.text import plain
from dashboards.visit import Visit
from dashboards.words import common
from dashboards.words import doctor as words
from why504.ladder.examine import Diagnosis, Finding

_OPTIONS: Final = (
    "why504 explorer --url http://127.0.0.1:9464 --nginx /etc/nginx/nginx.conf --limits limits.json"
)
_COMMAND: Final = "why504 doctor --url http://127.0.0.1:9464 --nginx /etc/nginx/nginx.conf"
_SENTENCE: Final = 500
_FINDINGS: Final = 40
_MARKS: Final = {"inversion": "✗", "missing": "✗", "hint": "•"}
_NAMES: Final = {"inversion": words.INVERTED, "missing": words.NO_LIMIT, "hint": words.HINT}


def page(visit: Visit) -> None:
    """Draw the limits that are in force, read as the page is opened."""
    st.title(visit.say(common.DOCTOR))
    if not ladder.named(visit.settings):
        _nothing_named(visit)
        return
    if st.button(
        visit.say(words.AGAIN), icon=":material/refresh:", help=visit.say(words.AGAIN_HELP)
    ):
        ladder.forget()
    with st.spinner(visit.say(words.READING)):
        checked = ladder.check(visit.settings)
    _verdict(visit, checked.diagnosis)
    _sources(visit, checked)
    if checked.diagnosis.rungs:
        _ladder(visit, checked.diagnosis)
        _findings(visit, checked.diagnosis)
    _unseen(visit, checked.diagnosis)


def _nothing_named(visit: Visit) -> None:
    st.info(visit.say(words.NOTHING_NAMED))
    st.code(_OPTIONS, language=None, wrap_lines=True)
    st.markdown(visit.say(words.IN_A_TERMINAL))
    st.code(_COMMAND, language=None, wrap_lines=True)


def _verdict(visit: Visit, diagnosis: Diagnosis) -> None:
    told = [finding.severity for finding in diagnosis.findings]
    if not diagnosis.rungs:
        box, said, icon = st.warning, words.NOTHING_TOLD, ":material/help:"
    elif not diagnosis.fine:
        box, said, icon = st.error, words.WRONG, ":material/error:"
    elif diagnosis.unseen:
        box, said, icon = st.success, words.TOLD_IS_FINE, ":material/rule:"
    else:
        box, said, icon = st.success, words.FINE, ":material/check_circle:"
    box(f"**{visit.say(said)}**", icon=icon)
    if told:
        kinds = {"inverted": "inversion", "missing": "missing", "hints": "hint"}
        counts = {hole: told.count(severity) for hole, severity in kinds.items()}
        st.text(visit.say(words.COUNTS, **counts))


def _sources(visit: Visit, checked: ladder.Checked) -> None:
    if checked.problems:
        st.warning(visit.say(words.COULD_NOT_READ), icon=":material/link_off:")
        st.text("\n".join(f"• {plain(problem)}" for problem in checked.problems))
    if checked.read:
        read = ", ".join(plain(source) for source in checked.read)
        st.text(visit.say(words.READ_FROM, sources=read))


def _ladder(visit: Visit, diagnosis: Diagnosis) -> None:
    st.header(visit.say(words.LADDER))
    st.caption(visit.say(words.READ_IT))
    if len(diagnosis.rungs) > drawing.SHOWN:
        count = len(diagnosis.rungs)
        st.text(visit.say(words.FIRST_OF, shown=drawing.SHOWN, count=count))
    drawn = drawing.chart(diagnosis, visit.ink, visit.say)
    st.vega_lite_chart(spec=spec(drawn), key="ladder", alt=visit.say(words.ALT))
    st.caption(visit.say(words.LEGEND))


def _findings(visit: Visit, diagnosis: Diagnosis) -> None:
    st.header(visit.say(words.FINDINGS))
    if not diagnosis.findings:
        st.text(visit.say(words.NO_FINDINGS))
    for number, finding in enumerate(diagnosis.findings[:_FINDINGS]):
        with st.container(border=True, key=f"step_{number}", gap="xsmall"):
            st.text(_found(visit, finding))
            st.text(plain(finding.advice, _SENTENCE))
    with st.expander(visit.say(words.AS_TABLE)):
        st.dataframe(_rows(visit, diagnosis), hide_index=True, key="limits")


def _found(visit: Visit, finding: Finding) -> str:
    said = visit.say(_NAMES[finding.severity])
    return f"{_MARKS[finding.severity]} {said}: {plain(finding.sentence, _SENTENCE)}"


def _rows(visit: Visit, diagnosis: Diagnosis) -> dict[str, Any]:
    rows = drawing.ladder_data(diagnosis, visit.say)
    columns = {
        "what": words.LIMIT,
        "length": words.AT_MOST,
        "judged": words.JUDGED,
        "told": words.TOLD_BY,
    }
    return {visit.say(said): [row[key] for row in rows] for key, said in columns.items()}


def _unseen(visit: Visit, diagnosis: Diagnosis) -> None:
    if diagnosis.unseen:
        st.header(visit.say(words.UNSEEN))
        st.text("\n".join(f"• {plain(text)}" for text in diagnosis.unseen))
