"""How LLMs were used, as charts: outcomes over time, and how long answers took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import altair as alt

from dashboards.draw.palette import LLM_OUTCOMES, Ink
from dashboards.draw.text import duration, plain
from dashboards.language import Say
from dashboards.words import llm as words
from why504.diagnose.llm import LlmUse
from why504.diagnose.llm_counts import Group

ROW_HEIGHT: Final = 56
AXIS_HEIGHT: Final = 44
_BAR_SHARE: Final = 0.5
"""Of a row; the rest is for its words."""
_DAY_MS: Final = 86_400_000
MODELS_DRAWN: Final = 10
_FASTEST_S: Final = 0.001
"""Nothing on a logarithmic scale is shorter."""

Row = dict[str, Any]


def outcome_data(use: LlmUse, say: Say) -> tuple[list[Row], list[Row]]:
    """Return the bars and the words, a row for each outcome that there was; times in ms."""
    bars: list[Row] = []
    texts: list[Row] = []
    seen = [name for name in words.OUTCOMES if any(use.begun.get(name, ()))]
    for row, name in enumerate(seen):
        counts = use.begun[name]
        most = max(counts)
        said = say(words.OUTCOMES[name])
        total = say(words.ROW, outcome=said, number=round(sum(counts)))
        whole_s = use.bucket_ns // 10**9
        bucket = f"{whole_s} s" if whole_s < 60 else duration(whole_s)
        peak = say(words.BUCKET, most=max(1, round(most)), length=bucket)
        texts.append({"y": row + 0.2, "text": f"{total} · {peak}"})
        for number, count in enumerate(counts):
            if count > 0:
                begin_ns = use.window.start_ns + number * use.bucket_ns
                height = _BAR_SHARE * max(count / most, 0.08)
                bars.append({
                    "from": begin_ns / 1e6, "to": (begin_ns + use.bucket_ns) / 1e6,
                    "y": row + 0.95, "top": row + 0.95 - height,
                    "color": LLM_OUTCOMES[name], "what": said, "number": f"{round(count):,}",
                })  # fmt: skip
    return bars, texts


def outcome_chart(use: LlmUse, say: Say, ink: Ink) -> alt.LayerChart:
    """Return bars over time, a row an outcome; what the figures are of is shaded."""
    bars, texts = outcome_data(use, say)
    rows = max(1, len(texts))
    ends = [use.window.start_ns / 1e6, use.window.end_ns / 1e6]
    scale = alt.Scale(domain=ends, nice=False)
    long = ends[1] - ends[0] > _DAY_MS
    axis = alt.Axis(
        tickCount=5, labelOverlap=True, grid=False, format="%d.%m. %H:%M" if long else "%H:%M:%S"
    )
    y = alt.Scale(domain=[0, rows], reverse=True, nice=False, zero=False)
    time = alt.X("from:T", scale=scale, axis=axis, title=None)
    drawn: alt.Chart = (
        _on(bars)
        .mark_bar()
        .encode(
            x=time,
            x2=alt.X2("to:T"),
            y=alt.Y("y:Q", scale=y, axis=None),
            y2=alt.Y2("top:Q"),
            color=alt.Color("color:N", scale=None),
            tooltip=[
                alt.Tooltip("from:T", title=say(words.BEGAN), format="%Y-%m-%d %H:%M:%S"),
                alt.Tooltip("what:N", title=say(words.OUTCOME)),
                alt.Tooltip("number:N", title=say(words.NUMBER)),
            ],
        )
    )
    said = (
        _on(texts)
        .mark_text(
            align="left", fontSize=12, color=ink.strong, limit=alt.ExprRef("width - 6")
        )
        .encode(x=alt.XValue(2), y=alt.Y("y:Q", scale=y, axis=None), text=alt.Text("text:N"))
    )  # fmt: skip
    layers: list[alt.Chart] = [drawn, said]
    if use.focus != use.window:
        begin_ms = max(use.focus.start_ns / 1e6, ends[0])
        shade = _on([{"from": begin_ms, "to": min(use.focus.end_ns / 1e6, ends[1])}])
        layers.insert(
            0, shade.mark_rect(color=ink.strong, opacity=0.08).encode(x=time, x2=alt.X2("to:T"))
        )
    height = ROW_HEIGHT * rows + AXIS_HEIGHT
    return alt.LayerChart(layer=layers, height=height, description=say(words.BY_TIME_ALT))


def latency_data(models: Sequence[Group], say: Say) -> list[Row]:
    """Return one row a model, at most ten, of those of which a call ended; seconds."""
    rows: list[Row] = []
    for group in models:
        spread_s = group.figures.spread_s
        if not spread_s or len(rows) == MODELS_DRAWN:
            continue
        least, low, middle, high, most = (max(_FASTEST_S, value) for value in spread_s)
        told = say(words.TIMES, median=duration(middle), p99=duration(most))
        rows.append({
            "row": len(rows), "least": least, "low": low, "middle": middle, "high": high,
            "most": most, "text": f"{model_name(group, say)} · {told}",
        })  # fmt: skip
    return rows


def latency_chart(models: Sequence[Group], say: Say, ink: Ink) -> alt.LayerChart | None:
    """Return a line a model on a logarithmic axis; None where no call ended."""
    rows = latency_data(models, say)
    if not rows:
        return None
    domain = [min(r["least"] for r in rows) / 1.5, max(r["most"] for r in rows) * 1.5]
    scale = alt.Scale(type="log", domain=domain, nice=False)
    axis = alt.Axis(tickCount=5, labelOverlap=True, format="~g", grid=True)
    base = _on(rows)
    y = alt.Y("row:O", axis=None, scale=alt.Scale(padding=0))

    def x(field: str) -> alt.X:
        return alt.X(f"{field}:Q", scale=scale, axis=axis, title=say(words.SECONDS))

    below: dict[str, Any] = {"yOffset": 10, "color": LLM_OUTCOMES["answered"]}
    layers = [
        base.mark_rule(strokeWidth=2, **below).encode(x=x("least"), x2=alt.X2("most:Q"), y=y),
        base.mark_rule(strokeWidth=10, opacity=0.6, **below).encode(
            x=x("low"), x2=alt.X2("high:Q"), y=y
        ),
        base.mark_tick(thickness=3, size=18, yOffset=10, color=ink.strong).encode(
            x=x("middle"), y=y
        ),
        base.mark_text(
            align="left", fontSize=12, dy=-10, color=ink.strong, limit=alt.ExprRef("width - 6")
        ).encode(x=alt.XValue(2), y=y, text=alt.Text("text:N")),
    ]
    height = ROW_HEIGHT * len(rows) + AXIS_HEIGHT
    return alt.LayerChart(layer=layers, height=height, description=say(words.LATENCY_ALT))


def model_name(group: Group, say: Say) -> str:
    """Return a model with its provider, as one text."""
    return plain(f"{group.provider} {group.model or say(words.NO_MODEL)}", 80)


def _on(data: list[Row]) -> alt.Chart:
    return alt.Chart(alt.InlineData(values=data))
