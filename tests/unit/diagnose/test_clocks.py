"""Clocks that disagree: seen in answered requests, corrected before anything is explained."""

from __future__ import annotations

import dataclasses

import pytest
from evidence_by_hand import Scene, at, site

from why504 import names
from why504.diagnose import explain
from why504.diagnose.clocks import in_step, skews
from why504.model import Evidence


def scene(answered: int = 20) -> Scene:
    """Answered requests, then a call to an LLM that holds a connection that others wait for."""
    found = Scene(until_s=60)
    for n in range(answered):
        begin_s = 0.2 * n
        found.gateway(f"ok{n}", begin_s, begin_s + 0.1 + 0.001 * n, status=200)
        found.app(f"ok{n}", begin_s + 0.002, begin_s + 0.098)
    found.app("holder", 9, 30)
    llm = {names.GEN_AI_PROVIDER: "groq"}
    found.span("holder", "call", "app", 9.1, 29, kind="client", name="chat", **llm)
    found.hold("holder", 9.05, 30, "db.pool:main", site=site(5))
    for n in range(10):
        found.gateway(f"v{n}", 10 + n * 0.2, 14 + n * 0.2)
        found.app(f"v{n}", 10 + n * 0.2, None)
        found.wait(f"v{n}", 10.01 + n * 0.2, None, "db.pool:main")
    return found


def off_by(evidence: Evidence, offset_s: float) -> Evidence:
    """The application's clock as it would have told everything."""

    def moved(items):
        by_ns = round(offset_s * 1e9)
        return [
            item
            if item.service == names.GATEWAY_SERVICE
            else dataclasses.replace(
                item,
                start_ns=item.start_ns + by_ns,
                end_ns=None if item.end_ns is None else item.end_ns + by_ns,
                last_seen_ns=item.last_seen_ns + by_ns,
            )
            for item in items
        ]

    return dataclasses.replace(
        evidence,
        spans=moved(evidence.spans),
        waits=moved(evidence.waits),
        holds=moved(evidence.holds),
        stalls=moved(evidence.stalls),
        heard_ns={name: ns + round(offset_s * 1e9) for name, ns in evidence.heard_ns.items()},
    )


@pytest.mark.parametrize("offset_s", [-3600, -2, -0.1, 0.1, 2, 3600])
def test_the_answer_is_the_same_whatever_the_clock(offset_s):
    (right,) = explain(scene().evidence())
    (skewed,) = explain(off_by(scene().evidence(), offset_s))

    assert skewed.finding.cause == right.finding.cause == "B3"
    assert skewed.finding.confidence == pytest.approx(right.finding.confidence, abs=0.01)
    assert right.caveats == [line for line in right.caveats if "clock" not in line]
    assert any("clock" in line and "corrected" in line for line in skewed.caveats)


def test_the_offset_is_found_to_the_millisecond():
    ((_, skew),) = skews(off_by(scene().evidence(), -2).spans).items()

    assert skew.offset_ns == pytest.approx(2e9, abs=5e6)
    assert skew.requests == 20


@pytest.mark.parametrize(("answered", "offset_s"), [(2, 2), (20, 0), (20, 0.015)])
def test_a_clock_is_left_alone_where_nothing_shows_that_it_is_wrong(answered, offset_s):
    evidence = off_by(scene(answered).evidence(), offset_s)

    assert in_step(evidence) == (evidence, {})


def test_a_request_that_waited_before_it_was_taken_up_says_nothing_of_the_clock():
    found = scene(answered=0)
    for n in range(20):
        found.gateway(f"late{n}", 0.2 * n, 0.2 * n + 3, status=200)
        found.app(f"late{n}", 0.2 * n + 2.9, 0.2 * n + 2.99)

    assert skews(found.evidence().spans) == {}


def test_times_are_moved_in_all_evidence():
    moved, _ = in_step(off_by(scene().evidence(), 2))

    assert next(s for s in moved.spans if s.name == "chat").start_ns == pytest.approx(
        at(9.1), abs=5e6
    )
    assert next(iter(moved.holds)).start_ns == pytest.approx(at(9.05), abs=5e6)
    assert next(iter(moved.waits)).end_ns is None
    assert moved.heard_ns["app-1"] == pytest.approx(at(60), abs=5e6)
