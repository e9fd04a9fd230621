from typing import Any

import pytest

from dashboards.draw import blame
from dashboards.draw.bars import Bar, bars
from dashboards.draw.palette import DARK, KINDS, LIGHT, ink
from dashboards.draw.waterfall import ROW_HEIGHT, bar_data, chart, clock, stripe_data
from dashboards.language import Say
from tests.unit.dashboards import explorer_examples as told

SAY = Say()
END = "gateway gave up after 60.0 s: 504"


def rows() -> list[Bar]:
    return bars(told.victim(1), told.pool_trace(1), told.holder_trace(), SAY)


def spec() -> dict[str, Any]:
    found: dict[str, Any] = chart(rows(), 60.0, END, LIGHT, SAY).to_dict()
    return found


def layers(mark: str) -> list[dict[str, Any]]:
    return [layer for layer in spec()["layer"] if layer["mark"]["type"] == mark]


def values(layer: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = spec()["datasets"][layer["data"]["name"]]
    return found


def test_the_axis_covers_the_request_and_what_follows():
    axis = clock(rows(), 60.0)

    assert axis.start_s == pytest.approx(-2.5)
    assert 65.0 < axis.end_s < 70.0


def test_a_leak_that_began_ten_hours_ago_does_not_squeeze_the_request():
    leak = Bar("hold", "has db.pool:main", -36_000.0, 36_000.0, open=True)

    axis = clock([leak], 60.0)
    solid = bar_data([leak], axis, SAY)[0]

    assert (axis.start_s, axis.end_s) == (-60.0, pytest.approx(129.0))
    assert solid["start"] == -60.0
    assert solid["when"].startswith("-36000.000 s to 36000.000 s")


def test_each_row_is_drawn_in_the_colour_of_its_kind():
    drawn = bar_data(rows(), clock(rows(), 60.0), SAY)
    colors = {data["row"]: data["color"] for data in drawn}

    assert colors == {
        2: KINDS["gateway"],
        4: KINDS["application"],
        5: KINDS["wait"],
        7: KINDS["database"],
        9: KINDS["application"],
        10: KINDS["hold"],
        11: KINDS["application"],
    }


def test_what_is_still_open_fades_out_and_what_ended_does_not():
    drawn = bar_data(rows(), clock(rows(), 60.0), SAY)
    strengths = {row: [d["opacity"] for d in drawn if d["row"] == row] for row in (2, 4)}

    assert strengths[2] == [1.0]
    assert len(strengths[4]) == 9
    assert strengths[4] == sorted(strengths[4], reverse=True)
    assert strengths[4][-1] < 0.15


def test_no_bar_leaves_the_axis():
    axis = clock(rows(), 60.0)

    for data in bar_data(rows(), axis, SAY):
        assert axis.start_s <= data["start"] <= data["end"] <= axis.end_s + 1e-9


def test_only_waits_are_striped():
    axis = clock(rows(), 60.0)

    assert {data["row"] for data in stripe_data(rows(), axis)} == {5}
    assert all(4.2 <= data["at"] <= 64.0 for data in stripe_data(rows(), axis))
    assert stripe_data([Bar("wait", "elsewhere", 500.0, 600.0)], axis) == []


def test_the_blocking_bar_and_the_cause_are_outlined():
    (solid,) = layers("bar")

    assert {d["row"]: d["mark"] for d in values(solid) if d["mark"]} == {
        5: "blocked",
        11: "lost",
    }
    assert solid["encoding"]["stroke"]["condition"]["value"] == LIGHT.strong


def test_the_moment_when_the_gateway_gave_up_is_a_line_with_words():
    (rule,) = layers("rule")

    assert values(rule) == [{"at": 60.0, "text": "gateway gave up after 60.0 s: 504", "row": 0}]


def test_rows_are_of_fixed_height_and_the_axis_says_what_it_counts():
    told_by = spec()
    (solid,) = layers("bar")

    assert told_by["height"] == ROW_HEIGHT * 12 + 60
    assert solid["encoding"]["x"]["title"] == "seconds since the gateway got the request"


def test_words_are_drawn_in_the_ink_of_the_theme():
    assert ink("dark") is DARK
    assert ink("light") is ink(None) is LIGHT
    assert {layer["mark"]["color"] for layer in layers("text")} == {LIGHT.strong}


def test_a_request_of_no_length_is_drawn_without_error():
    assert chart([], 0.0, END, DARK, SAY).to_dict()["height"] > 0


def test_blame_is_drawn_most_first_with_what_is_unknown_in_grey():
    drawn = blame.blame_data(told.pool_incident().blames, SAY)

    assert [(d["text"], d["color"]) for d in drawn] == [
        (
            "96 % · 3 min 51 s · waiting for the broker to answer "
            "(service/infrastructure/messaging/publisher.py:48)",
            "#D55E00",
        ),
        ("2 % · 6.0 s · db SELECT friendship_status", "#D55E00"),
        ("1 % · 3.0 s · db.pool:main", "#8c8c8c"),
    ]
    assert drawn[0]["kind"] == "code that was running"


def test_at_most_ten_leaves_are_drawn():
    many = told.pool_incident().blames * 20

    assert len(blame.blame_data(many, SAY)) == 10
    assert len(blame.chart(many, DARK, SAY).to_dict()["layer"]) == 2
