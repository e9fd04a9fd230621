"""The ladder of timeouts as a picture to scale."""

from __future__ import annotations

from typing import Any

import pytest

from dashboards.draw import ladder
from dashboards.draw.palette import ALARM, KINDS, LIGHT
from dashboards.language import Say
from why504.ladder.examine import Diagnosis, Ladder, examine
from why504.ladder.rung import Rung, rungs_of

SAY = Say()


def judged(limits: dict[str, Any]) -> Diagnosis:
    return examine(Ladder(rungs_of(limits, "here")))


def test_bars_are_to_scale_and_one_without_end_goes_to_the_edge():
    diagnosis = judged({"gateway": 60, "application": 30, "llm": None})
    rows = ladder.ladder_data(diagnosis, SAY)
    bars = ladder.bar_data(rows, ladder.axis_s(diagnosis.rungs))

    ends = {row: max(bar["end"] for bar in bars if bar["row"] == row) for row in range(3)}
    assert (ends[0], ends[1], ends[2]) == (60.0, 30.0, pytest.approx(60.0))
    faint = [bar["strength"] for bar in bars if bar["row"] == 2]
    assert faint == sorted(faint, reverse=True)
    assert faint[-1] < 0.2


def test_what_is_wrong_has_a_sign_a_word_and_a_colour():
    rows = ladder.ladder_data(judged({"gateway": 60, "application": 65, "llm": 5}), SAY)

    assert [(row["text"], row["color"]) for row in rows] == [
        ("gateway · 60 s", KINDS["application"]),
        ("✗ inverted: application · 65 s", ALARM),
        ("LLM call · 5 s", KINDS["application"]),
    ]


def test_a_limit_of_hours_does_not_squeeze_the_rest():
    diagnosis = judged({"client": 36_000, "gateway": 60, "llm": 5})
    rows = ladder.ladder_data(diagnosis, SAY)

    assert ladder.axis_s(diagnosis.rungs) == 120.0
    assert (rows[0]["open"], rows[0]["text"]) == (True, "client · 36,000 s")
    assert rows[1]["end"] == 60.0


def test_a_limit_of_a_moment_can_be_seen_and_none_has_an_axis():
    [bar] = ladder.bar_data(ladder.ladder_data(judged({"llm": 0}), SAY), 1.0)

    assert bar["end"] > 0
    assert ladder.axis_s([]) == 1.0
    assert ladder.axis_s([Rung("gateway", 0.0)]) == 1.0
    assert ladder.chart(judged({}), LIGHT, SAY).to_dict()["height"] > 0


def test_several_tries_are_told_as_such():
    diagnosis = examine(Ladder([Rung("llm", 15.0, attempts=3, pause_s=6.0, name="groq")]))

    assert ladder.ladder_data(diagnosis, SAY)[0]["text"].endswith("groq · 51 s in 3 tries")
