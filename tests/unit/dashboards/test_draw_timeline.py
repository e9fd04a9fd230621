"""The timeline's chart: where things are, what is said, and that strangers' words stay words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dashboards.draw import timeline as draw
from dashboards.draw.palette import DARK, LIGHT
from dashboards.draw.tracks import BAND_HEIGHT, title
from dashboards.language import VIETNAMESE, Say
from dashboards.words import timeline as words
from tests.unit.dashboards import explorer_examples as told
from why504.diagnose.timeline import Moment, Series, Timeline
from why504.model import Window

HANOI = ZoneInfo("Asia/Ho_Chi_Minh")
ENGLISH = Say()
BIDI = "\u202egnp.exe <b>x</b> **y**"


def timeline(*series: Series, moments: Sequence[Moment] = ()) -> Timeline:
    """Six buckets of 20 s from 10 s before the incident."""
    shown = series or (Series("timeouts", "", [None, 0.0, 0.0, 2.0, 0.5, None]),)
    return Timeline(Window(told.at(-10), told.at(110)), 20 * told.SECOND, shown, moments)


def spec(drawn: Timeline, **more: Any) -> dict[str, Any]:
    chart = draw.chart(drawn, told.pool_incident(), more.pop("say", ENGLISH), LIGHT, **more)
    found: dict[str, Any] = chart.to_dict()
    return found


def marked(found: dict[str, Any], mark: str, **look: Any) -> list[list[dict[str, Any]]]:
    """Return the data of the layers drawn with a mark that looks like that."""
    return [
        found["datasets"][layer["data"]["name"]]
        for layer in found["layer"]
        if layer["mark"]["type"] == mark and look.items() <= layer["mark"].items()
    ]


def texts(found: dict[str, Any]) -> list[str]:
    rows = [row for data in marked(found, "text") for row in data]
    return [row[name] for row in rows for name in ("title", "peak", "words") if name in row]


def test_a_row_says_what_it_is_and_its_peak():
    pool = Series("pool_in_use", "db.pool:main", [0.0, 3.0, 15.0, 15.0, 15.0, 0.0], 15.0)

    assert set(texts(spec(timeline(pool)))) == {
        "Connections of pool main in use, of 15",
        "peak 15",
        "first 504",
    }


@pytest.mark.parametrize(
    ("kind", "name", "limit", "said"),
    [
        ("timeouts", "", None, "504s per second"),
        ("open", "", None, "Requests in flight"),
        ("pool_in_use", "db.pool:main", None, "Connections of pool main in use"),
        ("pool_in_use", "threadpool", 40.0, "Worker threads in use, of 40"),
        ("pool_in_use", "threadpool of process 7", 40.0,
         "Worker threads in use of process 7, of 40"),
        ("pool_waiting", "db.pool:main of process 7",
         None, "Requests waiting for a connection of pool main of process 7"),
        ("pool_waiting", "db.lock:users", None, "Waiting for the lock on users"),
        ("pool_waiting", "threadpool", None, "Requests waiting for a worker thread"),
        ("pool_waiting", "gpu:0", None, "Waiting for gpu:0"),
        ("stalled", "loop:42", 1.0, "Event loop of process 42 blocked"),
        ("llm_errors", "LLM groq", None, "Failed attempts per second at LLM groq"),
        ("queued", "orders of /", None, "Messages ready in queue orders of /"),
        ("cpu", "process 42", 2.0, "CPU cores used (process 42)"),
        ("cpu", "api-0:4001", 2.0, "CPU cores used (api-0:4001)"),
        ("queued", "a:b of /", None, "Messages ready in queue a:b of /"),
        ("what comes next", "a:b", None, "In use: a:b"),
    ],
)  # fmt: skip
def test_titles_are_words_a_person_knows(kind, name, limit, said):
    assert title(Series(kind, name, [1.0], limit), ENGLISH) == said


def test_values_are_drawn_to_the_scale_of_their_row():
    points = marked(spec(timeline()), "area")[0]

    ground = points[0]["y2"]
    assert [ground - row["y"] for row in points] == [0, 0, BAND_HEIGHT, BAND_HEIGHT / 4, 8]
    assert {row["y2"] for row in points} == {ground}


def test_the_limit_is_a_line_and_part_of_the_scale():
    pool = Series("pool_in_use", "db.pool:main", [0.0, 3.0, 5.0, 5.0, 5.0, 0.0], 15.0)
    found = spec(timeline(pool))

    (limit,) = marked(found, "rule", strokeDash=[6, 4])[0]
    points = marked(found, "area")[0]
    ground = points[0]["y2"]
    assert ground - limit["y"] == BAND_HEIGHT
    assert ground - points[2]["y"] == pytest.approx(BAND_HEIGHT / 3, abs=0.1)


def test_a_limit_far_away_does_not_flatten_what_there_is():
    cores = Series("cpu", "process 42", [0.5] * 6, 64.0)
    found = spec(timeline(cores))

    assert not marked(found, "rule", strokeDash=[6, 4])
    assert marked(found, "area")[0][0]["y2"] - marked(found, "area")[0][0]["y"] == BAND_HEIGHT


def test_what_nobody_told_is_dotted_and_said():
    found = spec(timeline())

    (dotted,) = marked(found, "rule", strokeDash=[1, 4])
    start, end = marked(found, "point", opacity=0)[0]
    assert [(row["t"], row["t2"]) for row in dotted] == [
        (start["t"], start["t"] + 20_000),
        (start["t"] + 100_000, end["t"]),
    ]
    cells = marked(found, "rect", opacity=0)[0]
    assert [row["value"] for row in cells] == ["nobody told", "0/s", "2/s", "0.5/s", "nobody told"]


def test_gaps_are_not_bridged():
    series = Series("open", "", [5.0, None, None, 5.0, 5.0, 5.0])

    points = marked(spec(timeline(series)), "line")[0]

    assert len({row["shape"] for row in points}) == 2


def test_the_incident_is_shaded_and_the_first_504_marked():
    found = spec(timeline())

    shade = marked(found, "rect", opacity=0.1)[0][0]
    first = marked(found, "point", shape="circle")[0][0]
    start = marked(found, "point", opacity=0)[0][0]["t"]
    assert (shade["t"] - start, shade["t2"] - start) == (10_000, 80_000)
    assert (first["t"] - start, first["what"]) == (71_000, "first 504")


def test_times_are_those_of_the_visitors_zone():
    here, there = (spec(timeline(), zone=zone) for zone in (told_utc(), HANOI))

    starts = [marked(found, "point", opacity=0)[0][0]["t"] for found in (here, there)]
    assert starts[1] - starts[0] == 7 * 3600 * 1000
    assert marked(there, "rect", opacity=0)[0][0]["when"] == "06:03:30 – 06:03:50"
    assert there["layer"][0]["encoding"]["x"]["scale"]["type"] == "utc"


def told_utc() -> ZoneInfo:
    return ZoneInfo("UTC")


def test_alerts_of_the_router_are_triangles_on_the_axis():
    alerts = [(told.at(65), "Gateway504s"), (told.at(-500), "Before"), (told.at(99_999), "Later")]

    found = spec(timeline(), alerts=alerts)

    (shown,) = marked(found, "point", shape="triangle-up")[0]
    assert shown["what"] == "alert: Gateway504s"
    assert "alert: Gateway504s" in texts(found)


def test_moments_have_their_words_each_on_its_own_line():
    moments = [
        Moment(told.at(20), "silent", "svc, process 1"),
        Moment(told.at(21), "started", "svc, process 2"),
        Moment(told.at(22), "new kind", "something"),
    ]

    found = spec(timeline(moments=moments))

    rows = [row for data in marked(found, "text") for row in data if "words" in row]
    assert [row["words"] for row in sorted(rows, key=lambda row: row["y"])] == [
        "last heard of: svc, process 1",
        "started: svc, process 2",
        "something",
        "first 504",
    ]
    assert len({row["y"] for row in rows}) == 4


def test_thousands_of_alerts_are_bounded():
    alerts = [(told.at(n / 100), f"a{n}") for n in range(5000)]

    found = spec(timeline(), alerts=alerts)

    assert len(marked(found, "point", shape="triangle-up")[0]) <= 60
    assert len([text for text in texts(found) if text.startswith("alert")]) <= 8
    assert found["height"] < 400


def test_strangers_words_are_plain_and_short():
    series = [Series("pool_waiting", f"db.lock:{BIDI * 100_000}", [1.0] * 6)]
    moments = [Moment(told.at(20), "started", BIDI), Moment(told.at(21), BIDI, "x" * 1_000_000)]

    found = json.dumps(spec(timeline(*series, moments=moments), alerts=[(told.at(3), BIDI)]))

    assert "\\u202e" not in found
    assert len(found) < 20_000


def test_full_size_is_small_enough_for_a_phone():
    noisy = [Series("open", str(n), [float(n * m % 7) for m in range(240)]) for n in range(12)]
    drawn = Timeline(Window(told.at(0), told.at(240)), told.SECOND, noisy, ())

    found = spec(drawn)

    assert len(json.dumps(found)) < 1_500_000
    assert found["height"] < 900


def test_an_axis_without_series_is_drawn():
    found = spec(Timeline(Window(told.at(0), told.at(70)), told.SECOND, (), ()))

    assert texts(found) == ["first 504"]


def test_ink_and_language_are_the_visitors():
    light = spec(timeline())
    dark = draw.chart(timeline(), told.pool_incident(), Say(VIETNAMESE), DARK).to_dict()

    assert DARK.strong in json.dumps(dark)
    assert DARK.strong not in json.dumps(light)
    assert words.ROWS["timeouts"].vi in texts(dark)
    assert texts(dark)[-1] == words.FIRST_504.vi
