import json
from dataclasses import replace

import pytest

from lab.faults import FAULTS, fault
from lab.load import Summary
from lab.matrix.__main__ import sampled
from lab.matrix.cell import Cell
from lab.matrix.conditions import CONDITIONS
from lab.matrix.page import Row, missed, page, tables
from lab.midway import MIDWAY
from lab.score import Seen, Verdict, expected, score
from why504.model import Evidence, Finding, Incident, Leaf, Site, Span, Victim, Window

SECOND = 10**9
LEAF = Leaf("stall", "pika")
F1 = fault("F1")
WANTED = expected(F1)
FILE, _, LINE = str(WANTED.site).rpartition(":")
FINDING = Finding(
    cause="F1",
    title="Broker unreachable",
    mechanism="loop",
    site=Site(FILE, int(LINE), "_send"),
    sentence="",
    chain=(),
    evidence_for=(),
    evidence_against=(),
    advice=(),
    confidence=1.0,
)


def victim(number: int) -> Victim:
    return Victim(
        trace_id=f"{number:032x}",
        span_id=f"{number:016x}",
        route="GET /v1/livez",
        start_ns=0,
        gave_up_ns=4 * SECOND,
        status=504,
        reached_app=number == 1,
        blocked_in="",
        blocking_span_id=None,
        held_by="",
        holder_trace_id=None,
        leaf=LEAF,
        explained_s=4.0 if number < 3 else 0.0,
        unknown_s=0.0 if number < 3 else 4.0,
    )


VICTIMS = [victim(number) for number in (1, 2, 3)]
INCIDENT = Incident(
    id="abc",
    window=Window(0, 4 * SECOND),
    victims=VICTIMS,
    blames=(),
    finding=FINDING,
    blame_in_s=12.0,
    blame_out_s=12.0 + 1e-9,
)


def stock_span(number: int, kind: str) -> Span:
    return Span(
        f"{number:032x}", "a" * 16, None, "POST", kind, 0, SECOND, SECOND, "stock", "instance"
    )


SEEN = Seen(
    incidents=[INCIDENT],
    gateway_504=frozenset(v.trace_id for v in VICTIMS),
    stock=Evidence(
        Window(0, SECOND),
        spans=[
            stock_span(1, "internal"),
            stock_span(2, "server"),
            stock_span(2, "internal"),
            stock_span(99, "server"),
        ],
    ),
    clients=Summary(40, {200: 37, 504: 3}, 0.1, 4.0, 1000.0),
    verdict_after_s=1.5,
    duration_s=27.0,
    seed=1,
)


def test_a_run_that_names_what_was_injected_is_right():
    outcome = score(F1, WANTED, SEEN)

    assert outcome.problems == []
    assert outcome.correct
    assert (outcome.victims, outcome.explained, outcome.unknown) == (3, 2, 1)
    assert outcome.victims_with_app_span == 1


def test_only_the_504s_count_for_stock_and_each_once():
    outcome = score(F1, WANTED, SEEN)

    assert outcome.victims_with_stock_span == 2
    assert outcome.victims_with_stock_server_span == 1


@pytest.mark.parametrize(
    ("finding", "problem"),
    [
        (replace(FINDING, cause="B1"), "trigger is B1, not F1"),
        (replace(FINDING, mechanism="pool"), "mechanism is pool, not loop"),
        (replace(FINDING, site=Site("a.py", 1, "f")), f"site is a.py:1, not {WANTED.site}"),
        (replace(FINDING, site=None), f"site is None, not {WANTED.site}"),
    ],
)
def test_another_answer_is_wrong_and_says_in_what(finding, problem):
    outcome = score(F1, WANTED, replace(SEEN, incidents=[replace(INCIDENT, finding=finding)]))

    assert not outcome.correct
    assert outcome.problems == [problem]


def test_a_504_that_the_engine_does_not_tell_is_missed():
    outcome = score(F1, WANTED, replace(SEEN, gateway_504=SEEN.gateway_504 | {"f" * 32}))

    assert "1 of the gateway's 504s are missing" in outcome.problems


def test_a_504_that_only_one_side_counted_is_told():
    clients = replace(SEEN.clients, statuses={504: 4})

    outcome = score(F1, WANTED, replace(SEEN, clients=clients))

    assert outcome.problems == ["clients and gateway counted different numbers of 504s"]


def test_lost_blame_is_told():
    incident = replace(INCIDENT, blame_out_s=11.99)

    outcome = score(F1, WANTED, replace(SEEN, incidents=[incident]))

    assert outcome.problems == ["blame was made or lost"]


CONTROL = fault("N0")
QUIET = replace(
    SEEN, incidents=[], gateway_504=frozenset(), clients=Summary(40, {200: 38, 0: 2}, 0.1, 0.3)
)


def test_the_control_is_right_when_nothing_is_blamed():
    outcome = score(CONTROL, expected(CONTROL), QUIET)

    assert outcome.correct
    assert outcome.trigger == "N0"


def test_the_control_is_wrong_when_anything_is_blamed():
    outcome = score(CONTROL, expected(CONTROL), replace(QUIET, incidents=[INCIDENT]))

    assert "trigger is F1, not N0" in outcome.problems


def test_nothing_found_where_a_fault_was_injected_is_wrong():
    outcome = score(F1, WANTED, replace(SEEN, incidents=[]))

    assert "trigger is N0, not F1" in outcome.problems
    assert "3 of the gateway's 504s are missing" in outcome.problems


def test_of_two_incidents_the_one_with_more_victims_is_the_verdict():
    small = replace(INCIDENT, victims=VICTIMS[:1], finding=replace(FINDING, cause="B1"))

    assert score(F1, WANTED, replace(SEEN, incidents=[small, INCIDENT])).trigger == "F1"


def test_a_line_that_is_as_much_at_fault_is_right_too():
    other = Verdict("F1", "loop", "service/other.py:1", also=(str(FINDING.site),))

    assert score(F1, other, SEEN).problems == []
    assert score(F1, replace(other, also=()), SEEN).problems != []


def test_an_outcome_is_plain_json():
    document = json.loads(json.dumps(score(F1, WANTED, SEEN).as_json()))

    assert document["expected"] == {
        "trigger": "F1", "mechanism": "loop", "site": WANTED.site, "also": [],
    }  # fmt: skip
    assert document["incidents"] == ["abc"]
    assert document["gateway_504"] == document["client_504"] == 3


def test_where_no_line_is_expected_any_line_is_right():
    wanted = Verdict("F1", "loop", None)

    assert score(F1, wanted, SEEN).correct


def recorded(fault_id="F1", named="F1", mechanism="loop", **changes) -> Row:
    row = score(F1, WANTED, replace(SEEN, baselines={"random span": "B1"})).as_json()
    trigger = fault(fault_id).trigger
    wanted = {"trigger": trigger, "mechanism": "loop", "site": None}
    changed = {"fault": fault_id, "trigger": named, "mechanism": mechanism, "expected": wanted}
    changed |= {"played_at": "abc1234", "scored_at": "def5678"}
    return Row({**row, **changed, **changes})


def test_the_matrix_adds_up_the_runs_of_a_fault():
    by_fault, by_condition, confusion, methods, *_ = tables([recorded(), recorded()])

    (cells,) = by_fault.rows
    assert cells[:4] == ["F1", "F1 · loop", "F1 · loop", "2 of 2"]
    assert cells[4:10] == ["6", "4", "2", "2", "4", "2"]
    assert cells[10] == "1.5 to 1.5 s"
    assert by_condition.rows == [["steady", "2 of 2", "nothing"]]
    assert confusion.rows == [["F1", "2"]]
    assert methods.rows == [["why504", "2 of 2"], ["random span", "0 of 2"]]


def test_a_goal_is_missed_by_wrong_names_and_not_by_what_was_not_run():
    right = [recorded() for _ in range(19)]
    less = {"holds removed": "B1"}

    assert missed(right) == []
    assert [g.name for g in missed([*right, recorded(named="B1"), recorded(named="B1")])] == [
        "trigger named"
    ]
    assert [g.name for g in missed([recorded("N0", "B1")])] == ["controls with a cause"]
    assert [g.name for g in missed([recorded(ablations=less)])] == [
        "less evidence: right or UNKNOWN, never another cause"
    ]
    assert missed([recorded(ablations={"holds removed": "UNKNOWN"})]) == []
    assert [g.name for g in missed([recorded(blame_in_s=1.0)])] == ["blame conserved to 1e-6 s"]


def test_a_goal_is_printed_with_its_figure_its_target_and_what_a_simpler_method_reaches():
    runs = [recorded(), recorded("B1", "B1"), recorded(named="B1"), recorded("N0", "N0", "none")]

    *_, of_goals = tables(runs)

    assert of_goals.rows[:2] == [
        ["MISS", "trigger named", "66.7% of 3", "at least 95%", "random span: 33%"],
        ["pass", "mechanism named", "100.0% of 3", "at least 98%", "always the commonest: 100%"],
    ]
    assert of_goals.rows[3][2:] == ["0.0% of 1", "at most 2%", "random span: 100%"]


def test_the_page_of_the_matrix_has_tables_with_as_many_cells_in_every_row():
    for table in tables([recorded(), recorded("N0", "N0", "none")]):
        rows = [each for each in table.for_page().splitlines() if each.startswith("|")]
        assert len(rows) == len(table.rows) + 2
        assert len({each.count("|") for each in rows}) == 1
    assert page([recorded()], 600).startswith("# The fault matrix")


def test_the_page_says_which_commits_were_played_and_which_one_scored():
    runs = [recorded(), recorded(), recorded(played_at="abc1235+")]

    said = "Played at commits abc1234 (2 runs), abc1235+ (1 run); scored at def5678."
    assert said in page(runs, 600)


def test_a_sample_has_every_fault_and_every_condition():
    cells = [Cell(f, c, n) for n in (1, 2, 3) for c in "xyz" for f in "abcdef"]

    some = sampled(cells, 12)

    assert len(some) == len(set(some)) == 12
    assert {cell.fault for cell in some} == set("abcdef")
    assert {cell.condition for cell in some} == set("xyz")
    assert some == sampled(cells, 12)


OF_THE_SERVICE = [row for row in CONDITIONS if row.id != "sync"]
"""The other one serves another application: tests/unit/lab/test_sync_faults.py."""


@pytest.mark.parametrize("row", OF_THE_SERVICE, ids=lambda row: row.id)
def test_a_condition_changes_the_course_and_never_what_is_expected(row):
    for plain in FAULTS:
        changed = row.change(plain)

        assert (changed.id, changed.trigger, changed.mechanism) == (
            plain.id, plain.trigger, plain.mechanism,
        )  # fmt: skip
        assert changed.midway in MIDWAY
        assert (changed == plain) == (row.id == "steady")
