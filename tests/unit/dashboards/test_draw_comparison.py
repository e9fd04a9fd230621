"""The comparison: words, factors and places of what changed."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from dashboards.draw import comparison as draw
from dashboards.draw.palette import LIGHT
from dashboards.language import Say
from why504.diagnose.compared import Compared

ENGLISH = Say()


def change(measure: str, before: float | None, during: float | None, **more: Any) -> draw.Change:
    return draw.changes([Compared(measure, "x", before, during, **more)], ENGLISH)[0]


@pytest.mark.parametrize(
    ("measure", "before", "during", "shown"),
    [
        ("median", 0.083, 4.001, ("83 ms", "4.0 s", "× 48")),
        ("p99", 0.0031, 72.0, ("3 ms", "72.0 s", "× 23,226")),
        ("failed", 0.0, 0.789, ("0 %", "79 %", "from 0")),
        ("stalled", 0.004, 1.0, ("< 1 %", "100 %", "× 250")),
        ("requests", 14.0, 2.0, ("14/s", "2/s", "÷ 7")),
        ("llm_calls", 3.0, 0.0, ("3/s", "0/s", "to 0")),
        ("cpu", 0.14, 0.0161, ("0.14", "0.0161", "÷ 8.7")),
        ("median", 0.011, 0.012, ("11 ms", "12 ms", "same")),
        ("llm", None, 14.7, ("–", "14.7 s", "–")),
    ],
)
def test_values_have_their_units_and_say_how_much_they_changed(measure, before, during, shown):
    row = change(measure, before, during)

    assert (row.before, row.during, row.factor) == shown


def test_places_are_on_the_scale_of_the_row():
    row = change("median", 1.0, 4.0, after=2.0)

    assert (row.before_at, row.during_at, row.after_at) == (0.25, 1.0, 0.5)
    assert row.much


def test_a_figure_without_a_before_has_no_scale():
    row = change("median", None, 4.0, after=2.0)

    assert (row.before_at, row.during_at, row.after_at) == (None, None, None)
    assert not row.much


def test_nothing_on_both_sides_is_at_the_left():
    assert change("failed", 0.0, 0.0).before_at == 0.0


def test_at_most_fifteen_rows_in_the_order_given():
    found = [Compared("median", f"GET /{n}", 1.0, float(n)) for n in range(40)]

    assert [row.title for row in draw.changes(found, ENGLISH)] == [
        f"Median time of GET /{n}" for n in range(15)
    ]


def test_the_chart_says_what_the_table_says():
    rows = draw.changes(
        [Compared("timeouts", "", 0.0, 2.5), Compared("cpu", "process 4", 0.5, 0.5, 0.4)], ENGLISH
    )

    spec = draw.chart(rows, ENGLISH, LIGHT).to_dict()
    table = draw.table(rows, ENGLISH)

    texts = [
        row["text"] for name in spec["datasets"] for row in spec["datasets"][name] if "text" in row
    ]
    assert sorted(texts) == sorted(
        ["504s per second", "from 0", "0/s → 2.5/s", "CPU cores used by process 4", "same",
         "0.5 → 0.5, then 0.4"]
    )  # fmt: skip
    assert table == {
        "What": ["504s per second", "CPU cores used by process 4"],
        "Before": ["0/s", "0.5"],
        "During": ["2.5/s", "0.5"],
        "After": ["–", "0.4"],
        "Change": ["from 0", "same"],
    }


def test_what_changed_little_is_drawn_quietly():
    rows = draw.changes(
        [Compared("median", "a", 1.0, 9.0), Compared("median", "b", 1.0, 1.2)], ENGLISH
    )

    found = draw.chart(rows, ENGLISH, LIGHT).to_dict()
    weights = {
        row["text"]: layer["mark"]["fontWeight"]
        for layer in found["layer"]
        if layer["mark"].get("fontWeight")
        for row in found["datasets"][layer["data"]["name"]]
    }

    assert weights["Median time of a"] == "bold"
    assert weights["Median time of b"] == "normal"


def test_strangers_words_are_plain_and_short():
    hostile = "\u202e<script>x</script>" * 100_000
    rows = draw.changes(
        [Compared("p99", hostile, 1.0, math.pi), Compared(hostile, hostile, 0.0, 1.0)], ENGLISH
    )

    found = json.dumps(draw.chart(rows, ENGLISH, LIGHT).to_dict())

    assert "\\u202e" not in found
    assert len(found) < 10_000
