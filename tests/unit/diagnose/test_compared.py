"""Before, during and after an incident: what counts where, and what nobody can tell."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from evidence_by_hand import APP, Scene, at, hexid, site

from why504 import names
from why504.diagnose import explain
from why504.diagnose.compared import Compared, compared, stretches
from why504.model import Evidence, Incident, Sample, Window

LINE = site(48)
ROUTE = "POST /v1/x"


def scene(until_s: float = 100.0) -> Scene:
    """30 good requests of 0.1 to 0.3 s in 60 s; then 10 that wait for the pool for 10 s in vain."""
    told = Scene(until_s)
    for n in range(30):
        length_s = 0.1 * (1 + n % 3)
        told.gateway(f"ok{n}", n * 2, n * 2 + length_s, status=200)
        told.app(f"ok{n}", n * 2, n * 2 + length_s - 0.01)
    for n in range(10):
        told.gateway(f"v{n}", 60 + n, 70 + n)
        told.app(f"v{n}", 60 + n, 71 + n)
        told.wait(f"v{n}", 60 + n, 71 + n)
    return told


def found(evidence: Evidence, incident: Incident | None = None) -> dict[str, Compared]:
    told = compared(evidence, incident or explain(evidence)[0])
    by_name = {f"{one.measure} {one.of}".strip(): one for one in told}
    assert len(by_name) == len(told)
    return by_name


def figures(one: Compared) -> tuple[float | None, float | None, float | None]:
    return (one.before, one.during, one.after)


def test_requests_are_counted_and_measured_on_both_sides():
    told = found(scene().evidence())

    assert figures(told["timeouts"]) == pytest.approx((0.0, 10 / 19, None))
    assert figures(told["requests"]) == pytest.approx((0.5, 10 / 19, None))
    assert figures(told["failed"]) == (0.0, 1.0, None)
    assert figures(told[f"median {ROUTE}"]) == pytest.approx((0.2, 10.0, None))
    assert figures(told[f"p99 {ROUTE}"]) == pytest.approx((0.3, 10.0, None))
    assert figures(told["waited db.pool:main"]) == pytest.approx((0.0, 11.0, 11.0))


def test_the_stretches_are_what_was_told_of():
    evidence = scene().evidence()

    parts = stretches(replace(evidence, window=Window(at(-900), at(100))), explain(evidence)[0])

    assert parts == (Window(at(0), at(60)), Window(at(60), at(79)), Window(at(79), at(80)))


def test_who_watches_a_database_before_there_is_a_service_tells_nothing_of_before():
    told = scene()
    told.locks_watched(-50, -40)
    evidence = replace(told.evidence(), window=Window(at(-60), at(100)))

    assert stretches(evidence, explain(evidence)[0]).before == Window(at(0), at(60))


def test_what_hung_already_as_it_began_belongs_to_the_incident():
    told = scene()
    for n in range(20):
        told.gateway(f"hung{n}", 30, 75, status=200)

    one = found(told.evidence())[f"p99 {ROUTE}"]

    assert figures(one)[:2] == pytest.approx((0.3, 45.0))


def test_without_anything_before_there_is_nothing_to_compare():
    told = scene()
    told.spans = [span for span in told.spans if span.start_ns >= at(60)]
    evidence = replace(told.evidence(), window=Window(at(0), at(100)))

    rows = found(evidence)

    assert stretches(evidence, explain(evidence)[0]).before is None
    assert {one.before for one in rows.values()} == {None}
    assert rows[f"median {ROUTE}"].during == pytest.approx(10.0)
    assert {one.factor for one in rows.values()} == {None}


def test_what_goes_on_after_the_last_504_is_not_over():
    told = scene()
    for n in range(10):
        told.wait(f"late{n}", 65, None)

    assert found(told.evidence())["waited db.pool:main"].after == pytest.approx(35.0)


def test_loops_stood_for_a_share_of_the_time_that_was_told():
    told = scene()
    told.told_of_itself(20, 100, cpu_s=16)
    told.stall("v0", 60, 79, LINE)
    told.stall("ok1", 40, 42, LINE)

    rows = found(told.evidence())

    assert figures(rows["stalled loop:42"])[:2] == pytest.approx((2 / 40, 1.0))
    assert figures(rows["cpu process 42"]) == pytest.approx((0.2, 0.2, 0.2))


def test_a_loop_of_which_nobody_told_before_may_have_stood():
    told = scene()
    told.told_of_itself(60, 100, cpu_s=16)
    told.stall("v0", 60, 79, LINE)

    assert figures(found(told.evidence())["stalled loop:42"])[:2] == (None, 1.0)


def test_calls_of_an_llm_are_measured_whole_and_fail_by_attempt():
    told = scene()
    llm = {names.GEN_AI_PROVIDER: "groq", names.GEN_AI_OPERATION: "chat"}
    for who, start_s, end_s, statuses in (("ok9", 18, 18.2, (200,)), ("v1", 61, 69, (429, 200))):
        told.span(who, "chat", "app", start_s, end_s, kind="client", **llm)
        for n, status in enumerate(statuses):
            told.span(
                who, f"try{n}", "chat", start_s + n * 0.1, start_s + n * 0.1 + 0.05, name="POST",
                kind="client", **{names.HTTP_STATUS: status, names.SERVER_ADDRESS: "x"},
            )  # fmt: skip

    rows = found(told.evidence())

    assert figures(rows["llm LLM groq"])[:2] == pytest.approx((0.2, 8.0))
    assert figures(rows["llm_calls LLM groq"])[:2] == pytest.approx((1 / 60, 1 / 19))
    assert figures(rows["llm_failed LLM groq"])[:2] == pytest.approx((0.0, 0.5))


def test_of_a_sample_each_counts_for_those_it_stands_for():
    told = scene()
    told.gateway("quick", 65, 65.1, status=200)
    weights = {hexid(f"v{n}", 32): 3.0 for n in range(10)} | {hexid("quick", 32): 40.0}
    evidence = replace(told.evidence(), sample=Sample(weights, {}, 1000))

    rows = found(evidence)

    assert rows["timeouts"].during == pytest.approx(30 / 19)
    assert figures(rows[f"median {ROUTE}"])[:2] == pytest.approx((0.2, 0.1))
    assert rows[f"p99 {ROUTE}"].during == pytest.approx(10.0)
    assert not {"requests", "failed"} & set(rows)


def test_of_too_few_requests_no_quantile_is_told():
    told = scene()
    for n in range(3):
        told.gateway(f"rare{n}", 10, 10.5, status=200)
        told.spans[-1] = replace(told.spans[-1], name="GET /rare")

    rows = found(told.evidence())

    assert rows["median GET /rare"].before == pytest.approx(0.5)
    assert "p99 GET /rare" not in rows


def test_at_most_five_routes_those_that_were_hit_first():
    told = scene()
    for n in range(400):
        told.gateway(f"r{n}", 10, 10.5, status=200)
        told.spans[-1] = replace(told.spans[-1], name=f"GET /{n % 100}")

    routes = {one.of for one in found(told.evidence()).values() if one.measure == "median"}

    assert len(routes) == 5
    assert ROUTE in routes


@pytest.mark.parametrize(
    ("before", "during", "factor"),
    [(2.0, 24.0, 12.0), (0.0, 3.0, math.inf), (4.0, 0.0, 0.0), (0.0, 0.0, 1.0), (None, 3.0, None)],
)
def test_how_many_times_more(before, during, factor):
    assert Compared("median", "x", before, during).factor == factor


def test_what_changed_most_is_first_and_a_millisecond_is_no_change():
    told = compared(scene().evidence(), explain(scene().evidence())[0])

    assert [one.change for one in told] == sorted((one.change for one in told), reverse=True)
    assert told[-1].measure == "requests"
    assert Compared("median", "x", 0.001, 0.003).change < 0.2
    assert Compared("median", "x", 3.0, 0.5).change > 2


def test_evidence_that_is_gone_has_no_figures():
    incident = explain(scene().evidence())[0]

    assert compared(Evidence(Window(at(0), at(100))), incident) == []


def test_ends_before_starts_and_odd_values_do_no_harm():
    told = scene()
    told.wait("odd", 65, 1)
    told.stall("odd", 70, 60, LINE)
    told.gateway("odd", 70, 60, status="no number")
    told.told_of_itself(70, 60, cpu_s=1)
    told.told_of_itself(60, 70, cpu_s="much")

    rows = found(told.evidence())

    assert figures(rows[f"median {ROUTE}"])[:2] == pytest.approx((0.2, 10.0))
    assert all(
        value is None or (math.isfinite(value) and value >= 0)
        for one in rows.values()
        for value in figures(one)
    )
    assert APP not in str(rows)
