"""The rules of the ladder: each fires where it should, and is silent where it should be."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from why504.ladder.examine import Ladder, examine, in_words
from why504.ladder.kinds import BY_ID, KINDS
from why504.ladder.rules import RULES
from why504.ladder.rung import Rung

PAGE = Path(__file__).parents[3] / "docs" / "doctor.md"
GOOD = {
    "client": 70.0,
    "gateway": 60.0,
    "application": 55.0,
    "analysis": 40.0,
    "llm": 15.0,
    "memory": 5.0,
    "broker": 3.0,
    "redis": 2.0,
    "call": 5.0,
    "pool": 5.0,
    "connect": 5.0,
    "statement": 10.0,
    "lock": 5.0,
    "idle_in_transaction": 10.0,
    "heartbeat": 12.0,
    "health_probe": 3.0,
    "health": 2.0,
}
EACH_RULE = [(rule, inner) for rule in RULES for inner in rule.inners]


def found(**limits):
    return examine(Ladder([Rung(kind, seconds) for kind, seconds in limits.items()])).findings


def test_the_ladder_of_the_brief_is_in_order():
    diagnosis = examine(Ladder([Rung(kind, seconds) for kind, seconds in GOOD.items()]))

    assert diagnosis.findings == []
    assert diagnosis.unseen == []
    assert diagnosis.fine


@pytest.mark.parametrize(("rule", "inner"), EACH_RULE, ids=lambda x: getattr(x, "outer", str(x)))
def test_a_rule_fires_when_its_outer_limit_is_not_longer(rule, inner):
    # Nothing but the two of them, and each part of a sum fits alone.
    (finding,) = found(**{rule.outer: 12.0}, **dict.fromkeys(inner, 12.0 / len(inner)))

    assert finding.severity == rule.severity
    assert finding.kinds == (rule.outer, *inner)
    assert rule.otherwise in finding.sentence
    assert "12 s" in finding.sentence


@pytest.mark.parametrize(("rule", "inner"), EACH_RULE, ids=lambda x: getattr(x, "outer", str(x)))
def test_a_rule_is_silent_when_its_outer_limit_is_longer(rule, inner):
    assert found(**{rule.outer: 12.0}, **dict.fromkeys(inner, 11.9 / len(inner))) == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.id)
def test_a_kind_without_limit_is_named_with_what_that_does(kind):
    findings = found(**{kind.id: None})

    if not kind.endless:
        assert findings == []
        return
    (finding,) = findings
    assert finding.severity == ("hint" if kind.only_hint else "missing")
    assert kind.endless in finding.sentence


@given(st.sets(st.sampled_from([*GOOD, "gateway_connect", "keepalive"])))
def test_a_ladder_whose_every_rung_is_much_shorter_than_the_one_outside_has_no_inversion(kinds):
    order = [kind.id for kind in KINDS if kind.id in kinds]
    rungs = [Rung(kind, 1e6 / 4.0**depth) for depth, kind in enumerate(order)]

    assert examine(Ladder(rungs)).findings == []


@given(
    st.lists(
        st.builds(
            Rung,
            st.sampled_from([kind.id for kind in KINDS] + ["of a newer version"]),
            st.none() | st.floats(0, 1e12),
            name=st.text(max_size=3),
            attempts=st.integers(1, 5),
            connections=st.none() | st.integers(0, 100),
        ),
        max_size=12,
    )
)
def test_any_ladder_is_judged_whatever_order_it_is_told_in(rungs):
    def sentences(ladder):
        return sorted(finding.sentence for finding in examine(Ladder(ladder, 97)).findings)

    assert sentences(rungs) == sentences(rungs[::-1])


def test_an_inversion_names_both_limits_and_the_way_out():
    (finding,) = found(gateway=60.0, application=55.0, llm=90.0)

    assert finding.sentence == (
        "The application ends a request after 55 s, but a call of the LLM may take 90 s: the "
        "request is cut off first, so nothing falls back and no error says what was slow."
    )
    assert finding.advice == "Lower llm to less than 55 s, or raise the application's deadline."


def test_retries_and_their_pauses_count():
    ladder = Ladder([Rung("application", 55.0), Rung("llm", 20.0, attempts=3, pause_s=1.5)])
    (finding,) = examine(ladder).findings

    assert "61.5 s (3 attempts of 20 s and 1.5 s of pauses)" in finding.sentence


def test_a_budget_that_cuts_retries_short_is_what_counts():
    rungs = [Rung("application", 55.0), Rung("analysis", 40.0), Rung("llm", 15.0)]

    assert examine(Ladder(rungs)).findings == []


def test_a_wait_and_a_statement_that_fit_alone_do_not_fit_together():
    (finding,) = found(application=12.0, pool=6.0, statement=7.0)

    assert finding.kinds == ("application", "pool", "statement")
    assert "together 13 s" in finding.sentence


def test_a_part_that_is_too_long_alone_is_told_once():
    assert [f.kinds for f in found(application=12.0, pool=6.0, statement=20.0)] == [
        ("application", "statement")
    ]


def test_what_has_no_limit_is_not_called_inverted_too():
    assert [f.severity for f in found(gateway=60.0, application=None, llm=15.0)] == ["missing"]


def test_without_a_deadline_of_the_application_its_calls_are_held_against_the_gateway():
    findings = found(gateway=60.0, application=None, llm=90.0)

    assert [finding.kinds for finding in findings] == [("gateway", "llm"), ("application",)]


def test_each_location_of_the_gateway_is_judged_by_itself():
    rungs = [Rung("gateway", 60.0, name="/"), Rung("gateway", 5.0, name="/v1/health")]
    findings = examine(Ladder([*rungs, Rung("application", 55.0)])).findings

    assert ["(/v1/health)" in finding.sentence for finding in findings] == [True]


def test_more_connections_than_the_server_has_are_an_inversion():
    pools = [Rung("pool", 5.0, name=name, connections=50) for name in ("main", "nightly")]

    assert examine(Ladder(pools, server_connections=100)).findings == []
    (finding,) = examine(Ladder(pools, server_connections=97)).findings
    assert finding.severity == "inversion"
    assert "may open 100 connections, but the database gives out 97" in finding.sentence


def test_the_pools_of_several_processes_add_up_in_one_row():
    pools = [Rung("pool", 5.0, name="main", where=f"process {n}", connections=15) for n in (1, 2)]

    (rung,) = examine(Ladder(pools)).rungs
    assert (rung.connections, rung.where) == (30, "process 1, process 2")


def test_a_limit_that_is_declared_and_seen_is_one_row():
    rungs = [Rung("statement", 10.0), Rung("statement", 10.0, name="main"), Rung("lock", 5.0)]

    assert [(r.kind, r.name) for r in examine(Ladder(rungs)).rungs] == [
        ("statement", "main"),
        ("lock", ""),
    ]


def test_a_gateway_that_asks_the_next_server_gets_a_hint_that_fails_nothing():
    diagnosis = examine(Ladder([Rung("gateway", 60.0, attempts=2), Rung("application", 55.0)]))

    assert [finding.severity for finding in diagnosis.findings] == ["hint"]
    assert "up to 120 s" in diagnosis.findings[0].sentence
    assert diagnosis.fine


def test_what_nobody_told_is_said():
    unseen = examine(Ladder([Rung("health", 2.0), Rung("of a newer version", 2.0)])).unseen

    assert [sentence.split(":")[0] for sentence in unseen] == [
        "the gateway's timeouts",
        "the application's own deadline",
        "how long a statement may take",
        "limits of a kind that this version does not know",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (60.0, "60 s"),
        (0.5, "0.5 s"),
        (3600.0, "3,600 s"),
        (None, "no limit"),
        (math.inf, "no limit"),
        (1e308, "1e+308 s"),
        (0.0, "0 s"),
    ],
)
def test_a_length_of_time_reads_as_people_write_it(seconds, words):
    assert in_words(seconds) == words


def rows(heading):
    lines = PAGE.read_text().split(heading, 1)[1].splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("|---"))
    table = []
    for line in lines[start + 1 :]:
        if not line.startswith("|"):
            break
        table.append(tuple(cell.strip() for cell in line.strip("|").split("|")))
    return table


def test_the_page_shows_the_rules_there_are():
    told = [
        (
            BY_ID[rule.outer].label,
            ", ".join(" + ".join(BY_ID[kind].label for kind in inner) for inner in rule.inners),
            rule.otherwise,
        )
        for rule in RULES
    ]
    assert rows("## What is compared") == told


def test_the_page_shows_the_kinds_there_are():
    told = [(f"`{kind.id}`", kind.label, kind.endless or "(not judged)") for kind in KINDS]

    assert rows("## Declaring limits") == told
