from dataclasses import replace

from dashboards.draw import chain, tables
from dashboards.language import Say
from dashboards.links import choose
from tests.unit.dashboards import explorer_examples as told
from why504.model import ChainLink

SAY = Say()


def test_a_504_says_what_blocked_it_and_who_held_that():
    rows = tables.victim_rows([told.victim(2)], SAY)

    assert {name: cells[0] for name, cells in rows.items()} == {
        "Time": "23:03:42",
        "Route": "POST /v1/conversations/end",
        "Blocked in": "waiting for db.pool:main",
        "Held by": told.victim(2).held_by,
        "Comes down to": "waiting for the broker to answer "
        "(service/infrastructure/messaging/publisher.py:48)",
        "Reached the app": "yes",
        "Gave up after": "60.0 s",
        "Trace": told.trace(2),
    }


def test_a_504_that_nobody_held_up_says_so():
    rows = tables.victim_rows([told.victim(1, held_by="", reached_app=False)], SAY)

    assert (rows["Held by"], rows["Reached the app"]) == (["nobody seen"], ["no"])


def test_cells_are_bounded_and_plain():
    hostile = "\u202e<b>" + "x" * 100_000
    rows = tables.victim_rows(
        [told.victim(1, route=hostile, blocked_in=hostile, held_by=hostile, trace_id=hostile)],
        SAY,
    )

    for name in ("Route", "Blocked in", "Held by", "Trace"):
        cell = str(rows[name][0])
        assert cell.startswith("<U+202E><b>")
        assert len(cell) <= 160


def test_the_chain_leads_from_the_504s_to_the_cause():
    steps = chain.steps(told.finding(), SAY)

    assert [step.what for step in steps] == [
        "4 × 504 on 2 routes",
        "waiting for db.pool:main",
        "15 × POST /v1/conversations/end hold it",
        "connecting to the broker at service/infrastructure/messaging/publisher.py:48",
    ]
    assert steps[1] == chain.Step(
        "waiting for db.pool:main", "3 min 56 s lost", ("15 of 15 in use", "97 waiting")
    )


def test_the_chain_leads_to_the_traces_that_its_evidence_names():
    trace = "46cd46529e214897cb2e49b97815cbb4"
    seen = (f"seen in trace {trace}", f"again in {trace}, not in {trace}0")
    found = told.finding(chain=(ChainLink("a session", 1.0, seen), ChainLink("b", 1.0, ("x",))))

    assert [step.traces for step in chain.steps(found, SAY)] == [(trace,), ()]


def test_a_long_chain_keeps_its_beginning_and_its_cause():
    links = tuple(ChainLink(f"step {n}", 1.0, ("e",) * 100) for n in range(50))

    steps = chain.steps(told.finding(chain=links), SAY)

    assert [step.what for step in steps] == [*(f"step {n}" for n in range(11)), "step 49"]
    assert steps[0].evidence[-1] == "… and 92 more"


FOUND = [told.loop_incident(), told.pool_incident()]


def test_a_url_that_names_nothing_opens_the_first_incident():
    choice = choose(FOUND, "", "")

    assert (choice.incident, choice.victim, choice.missing) == (FOUND[0], FOUND[0].victims[0], "")


def test_a_url_names_an_incident_and_one_of_its_504s():
    choice = choose(FOUND, FOUND[1].id, told.trace(3))

    assert choice.incident is FOUND[1]
    assert choice.victim == told.victim(3)


def test_a_trace_alone_finds_its_incident():
    choice = choose(FOUND, "", told.trace(4))

    assert (choice.incident, choice.missing) == (FOUND[1], "")


def test_what_a_url_names_and_is_not_there_is_said():
    assert choose(FOUND, "gone", "").missing == "incident"
    assert choose(FOUND, FOUND[1].id, "f" * 32).missing == "trace"
    assert choose(FOUND, "gone", "f" * 32).missing == "incident"


def test_an_old_incident_id_with_a_known_trace_still_leads_there():
    choice = choose(FOUND, "gone", told.trace(2))

    assert (choice.incident, choice.victim) == (FOUND[1], told.victim(2))


def test_an_incident_without_victims_can_be_opened():
    empty = replace(FOUND[0], victims=())

    assert choose([empty], empty.id, "").victim is None
