"""The ladder of timeouts to scale: a bar a limit on one axis of seconds, outermost first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import altair as alt

from dashboards.draw.palette import ALARM, KINDS, Ink
from dashboards.draw.text import plain
from dashboards.language import Say
from dashboards.words import doctor as words
from why504.ladder.examine import Diagnosis, Finding, in_words
from why504.ladder.kinds import BY_ID
from why504.ladder.rung import Rung

ROW_HEIGHT = 40
AXIS_HEIGHT = 60
BAR_HEIGHT = 12
BAR_BELOW_MIDDLE = 10
WORDS_ABOVE_MIDDLE = 8
SHOWN = 60
FADE_STEPS = 10
_FADE = 0.25
"""Share of the axis on which a bar without end fades out."""
_LEAST_AXIS_S: Final = 1.0
_BEYOND: Final = 2.0
"""So many times the gateway's limit are drawn at most: a limit of hours would squeeze the rest."""
_LOUD: Final = {
    "inversion": ("✗", words.INVERTED),
    "missing": ("✗", words.NO_LIMIT),
    "hint": ("•", words.HINT),
}

Row = dict[str, Any]


def ladder_data(diagnosis: Diagnosis, say: Say) -> list[Row]:
    """Return one row a limit, outermost first, at most sixty.

    `end` is where its bar ends on the axis, `open` whether it goes on beyond that.
    """
    shown = diagnosis.rungs[:SHOWN]
    end_s = axis_s(shown)
    return [_row(number, rung, diagnosis.findings, end_s, say) for number, rung in enumerate(shown)]


def axis_s(rungs: Sequence[Rung]) -> float:
    """Return the length of the axis: the longest limit, but at most twice the gateway's."""
    finite = [rung.worst_s for rung in rungs if rung.seconds is not None]
    longest_s = max([_LEAST_AXIS_S, *finite])
    gateway = [r.worst_s for r in rungs if r.kind == "gateway" and r.seconds is not None]
    return min(longest_s, max(gateway) * _BEYOND) if any(gateway) else longest_s


def _row(number: int, rung: Rung, findings: Sequence[Finding], end_s: float, say: Say) -> Row:
    severity = severity_of(rung, findings)
    mark, said = _LOUD.get(severity, ("", words.IN_ORDER))
    length = at_most(rung, say)
    parts = [f"{name(rung)} · {length}"]
    if mark:
        parts = [f"{mark} {say(said)}:", *parts]
    return {
        "row": number,
        "text": " ".join(parts),
        "end": min(rung.worst_s, end_s),
        "open": rung.worst_s > end_s,
        "color": ALARM if severity in ("inversion", "missing") else KINDS["application"],
        "what": name(rung),
        "length": length,
        "judged": say(said),
        "told": plain(rung.where, 120),
    }


def severity_of(rung: Rung, findings: Sequence[Finding]) -> str:
    """Return the gravest severity of what was found about a limit; empty if nothing was."""
    return next((finding.severity for finding in findings if rung in finding.rungs), "")


def name(rung: Rung) -> str:
    """Return what a limit is called."""
    kind = BY_ID.get(rung.kind)
    return plain(" ".join(filter(None, (kind.label if kind else rung.kind, rung.name))), 100)


def at_most(rung: Rung, say: Say) -> str:
    """Return how long it may take, in words."""
    if rung.seconds is None:
        return say(words.ENDLESS)
    length = in_words(rung.worst_s)
    return length if rung.attempts == 1 else say(words.TRIES, time=length, count=rung.attempts)


def chart(diagnosis: Diagnosis, ink: Ink, say: Say) -> alt.LayerChart:
    """Return the ladder; its words stand above its bars, and what has no end fades out."""
    rows = ladder_data(diagnosis, say)
    end_s = axis_s(diagnosis.rungs[:SHOWN])
    layers = [_bars(rows, end_s, say), _arrows(rows, end_s, ink), _words(rows, ink)]
    return alt.LayerChart(layer=layers, height=ROW_HEIGHT * max(1, len(rows)) + AXIS_HEIGHT)


def bar_data(rows: Sequence[Row], end_s: float) -> list[Row]:
    """Return the rectangles: one a limit, and for one without end more that grow fainter."""
    data: list[Row] = []
    for row in rows:
        solid_s = end_s * (1 - _FADE) if row["open"] else max(row["end"], end_s * 0.003)
        data.append({**row, "start": 0.0, "end": solid_s, "strength": 1.0})
        step_s = end_s * _FADE / FADE_STEPS
        for step in range(FADE_STEPS if row["open"] else 0):
            start_s = solid_s + step * step_s
            faint = 1 - (step + 1) / (FADE_STEPS + 1)
            data.append({**row, "start": start_s, "end": start_s + step_s, "strength": faint})
    return data


def _bars(rows: Sequence[Row], end_s: float, say: Say) -> alt.Chart:
    titles = {
        "what": words.LIMIT,
        "length": words.AT_MOST,
        "judged": words.JUDGED,
        "told": words.TOLD_BY,
    }
    drawn: alt.Chart = (
        _on(bar_data(rows, end_s))
        .mark_bar(size=BAR_HEIGHT, yOffset=BAR_BELOW_MIDDLE)
        .encode(
            x=alt.X(
                "start:Q",
                scale=alt.Scale(domain=[0, end_s], nice=False),
                axis=alt.Axis(orient="top", tickCount=6, grid=True, labelOverlap=True),
                title=say(words.SECONDS),
            ),
            x2=alt.X2("end:Q"),
            y=_across(),
            color=alt.Color("color:N", scale=None),
            fillOpacity=alt.FillOpacity("strength:Q", scale=None),
            tooltip=[alt.Tooltip(f"{key}:N", title=say(said)) for key, said in titles.items()],
        )
    )
    return drawn


def _arrows(rows: Sequence[Row], end_s: float, ink: Ink) -> alt.Chart:
    data = [{"row": row["row"], "at": end_s, "text": "▶"} for row in rows if row["open"]]
    drawn: alt.Chart = (
        _on(data)
        .mark_text(align="right", dy=BAR_BELOW_MIDDLE, fontSize=12, color=ink.strong)
        .encode(x=alt.X("at:Q"), y=_across(), text=alt.Text("text:N"))
    )
    return drawn


def _words(rows: Sequence[Row], ink: Ink) -> alt.Chart:
    drawn: alt.Chart = (
        _on(rows)
        .mark_text(
            align="left",
            fontSize=12,
            dy=-WORDS_ABOVE_MIDDLE,
            color=ink.strong,
            limit=alt.ExprRef("width - 6"),
        )
        .encode(x=alt.XValue(2), y=_across(), text=alt.Text("text:N"))
    )
    return drawn


def _across() -> alt.Y:
    return alt.Y("row:O", axis=None, scale=alt.Scale(padding=0))


def _on(data: Sequence[Row]) -> alt.Chart:
    return alt.Chart(alt.InlineData(values=list(data)))
