"""The pictures and rows of the page `now`."""

from __future__ import annotations

import pytest

from dashboards.draw import ages, gauges, seconds, stuck
from dashboards.draw.palette import ALARM, KINDS, LIGHT
from dashboards.language import VIETNAMESE, Say
from tests.unit.dashboards import explorer_examples as told
from tests.unit.dashboards import now_examples as moments
from why504.diagnose.health import Ages, Queued

SAY = Say()


def test_a_second_without_a_504_has_no_bar_and_the_latest_ends_at_now():
    rows = seconds.seconds_data([2, 0, 1])

    assert [(row["at"], row["until"], row["count"]) for row in rows] == [(-3, -2, 2), (-1, 0, 1)]


def test_one_504_does_not_fill_the_picture_and_none_makes_a_picture_too():
    one = seconds.chart([0] * 59 + [1], SAY).to_dict()
    none = seconds.chart([], SAY).to_dict()

    assert one["encoding"]["y"]["scale"]["domain"] == [0, 3]
    assert none["encoding"]["y"]["scale"]["domain"] == [0, 3]


def test_ages_past_the_limit_have_the_alarms_colour():
    rows = ages.ages_data(Ages(1.0, [5, 0, 3, 2], 0), 2.0, SAY)

    assert [(row["first"], row["count"], row["color"]) for row in rows] == [
        (0.0, 5, KINDS["application"]),
        (2.0, 3, ALARM),
        (3.0, 2, ALARM),
    ]
    assert rows[0]["range"] == "0.00 s to 1.0 s"


def test_the_limit_is_a_line_with_words_where_there_is_room_for_them():
    def line(limit_s: float | None) -> list[str]:
        spec = ages.chart(Ages(1.0, [1] * 24, 0), limit_s, LIGHT, SAY).to_dict()
        texts = [layer["mark"].get("align", "") for layer in spec["layer"][1:]]
        return [text for text in texts if text]

    assert (line(20.0), line(4.0)) == (["right"], ["left"])
    assert line(None) == []
    assert line(100.0) == []


def test_a_gauge_is_full_while_anybody_waits_and_says_how_many():
    [row] = gauges.gauge_data([moments.busy()], SAY)

    assert row["taken"] == gauges.TAKEN_END
    assert row["queue"] == gauges.QUEUE_END
    assert row["text"] == "db.pool:main · 15 of 15 in use · 3 wait, longest 59.5 s"


@pytest.mark.parametrize(
    ("changes", "taken", "says"),
    [
        ({"waiters": 0}, 1 / 15, "1 of 15 in use · nobody waits"),
        ({"waiters": 0, "capacity": None, "units": 9}, gauges.UNKNOWN, "9 in use, size not told"),
        ({"resource": "loop:42", "capacity": None}, 1.0, "blocked for 61.5 s"),
        ({"resource": "db.lock:users#7", "capacity": None}, 1.0, "held for 61.5 s"),
        ({"resource": "db.lock:x#1", "capacity": None, "units": 0, "oldest": None}, 0.0, "nobody"),
        ({"capacity": 0}, 1.0, "0 of 0 in use"),
        ({"capacity": 2, "units": 50, "waiters": 0}, 1.0, "2 of 2 in use"),
    ],
)
def test_each_kind_of_resource_is_told_in_its_own_words(changes, taken, says):
    [row] = gauges.gauge_data([moments.busy(**changes)], SAY)

    assert row["taken"] == pytest.approx(taken)
    assert says in row["text"]


def test_a_process_is_named_only_where_several_have_a_pool_of_that_name():
    one, other = moments.busy(instance="a" * 50), moments.busy(instance="b" * 50, waiters=1)

    rows = gauges.gauge_data([one, other], SAY)

    assert [row["text"].split(" · ")[0] for row in rows] == [
        "db.pool:main (aaaaaaaaaaa…)",
        "db.pool:main (bbbbbbbbbbb…)",
    ]
    assert gauges.QUEUE_START < rows[1]["queue"] < rows[0]["queue"]


def test_hundreds_of_resources_make_twelve_gauges_and_none_an_empty_picture():
    many = [moments.busy(resource=f"db.pool:{n}") for n in range(300)]

    assert len(gauges.gauge_data(many, SAY)) == 12
    assert len(gauges.stripe_data(gauges.gauge_data(many, SAY))) <= 12 * (gauges.STRIPES + 1)
    assert gauges.chart([], LIGHT, SAY).to_dict()["height"] >= gauges.ROW_HEIGHT


def test_the_row_of_a_request_says_what_it_is_in_few_words():
    columns = stuck.stuck_rows([moments.stuck(3, held_by=None, site=None)], SAY)

    row = {name: cells[0] for name, cells in columns.items()}
    assert (row["age"], row["status"], row["held_by"], row["line"]) == (3.0, "not yet", "", "")
    assert row["process"] == "context-handling service-4242"


def test_a_long_queue_names_three_routes_and_counts_the_rest():
    queued = [Queued(f"GET /{n}", 9 - n, 1.0) for n in range(5)]

    lines = stuck.holder_lines(moments.holding(), queued, 14, SAY).split("\n")

    assert lines[-2].endswith("7 × GET /2 (up to 1.0 s), and 2 more routes")
    assert lines[-1] == "14 more hold this too"


def test_a_blocked_loop_is_blocked_in_a_line_and_never_given_back_is_not_said_of_it():
    loop = moments.holding(resource="loop:42", request_ended=True, waiters=0)

    text = stuck.holder_lines(loop, [], 0, SAY)

    assert text == (
        f"blocks loop:42 (service-4242) for 61.5 s\nin the line {told.TAKEN}\nnobody waits for it"
    )


def test_words_of_the_pictures_are_said_in_the_viewers_language():
    spec = str(gauges.chart([moments.busy()], LIGHT, Say(VIETNAMESE)).to_dict())

    assert "15 trên 15 đang dùng" in spec
    assert "resource" not in spec.replace("'resource'", "")
