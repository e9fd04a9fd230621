"""Gateways that tell their calls as spans of their own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from evidence_by_hand import Scene, at, hexid, site

from why504 import names
from why504.diagnose.engine import explain
from why504.diagnose.gateways import one_span_each
from why504.model import Evidence, Span

VICTIMS = [f"victim {n}" for n in range(4)]


def inner(who: str, start_s: float, end_s: float, status: int | None, above: str = "gw") -> Span:
    told = {} if status is None else {names.HTTP_STATUS: status}
    return Span(
        hexid(who, 32), hexid(f"{who}/call {start_s}", 16), hexid(f"{who}/{above}", 16), "POST",
        "client", at(start_s), at(end_s), at(end_s), names.GATEWAY_SERVICE, "gw-1",
        attributes=told,
    )  # fmt: skip


def leak(calls: int = 0, *, below: bool = False, status: int | None = None) -> Evidence:
    """A request took the only connection and ended; four wait for it until the gateway gives up."""
    scene = Scene(20)
    scene.app("holder", 0, 0.5)
    scene.hold("holder", 0.1, None, site=site(10))
    for n, who in enumerate(VICTIMS):
        scene.gateway(who, 1 + n, 7 + n)
        told = [inner(who, 1 + n + i * 0.1, 7 + n, status) for i in range(calls)]
        scene.spans += told
        scene.app(who, 1.3 + n, None)
        if below:
            scene.spans[-1] = replace(scene.spans[-1], parent_id=told[-1].span_id)
        scene.wait(who, 1.4 + n, None)
    return scene.evidence()


@pytest.mark.parametrize("status", [None, 504])
@pytest.mark.parametrize("below", [False, True])
@pytest.mark.parametrize("calls", [1, 2])
def test_what_a_gateway_tells_besides_the_request_changes_no_answer(calls, below, status):
    (plain,) = explain(leak())
    (told,) = explain(leak(calls, below=below, status=status))

    assert plain.finding.cause == "A1a"
    assert told == plain


def test_an_attempt_that_timed_out_before_another_answered_is_no_victim():
    scene = Scene(20)
    scene.gateway("retried", 0, 7, status=200)
    scene.spans.append(inner("retried", 0, 6, 504))
    scene.app("retried", 6, 7)

    assert explain(scene.evidence()) == []


def test_gateways_in_a_row_keep_a_span_each():
    scene = Scene(20)
    scene.gateway("outer", 0, 7)
    outer = scene.spans[-1]
    call = inner("outer", 0, 7, None)
    second = replace(outer, span_id="b" * 16, parent_id=call.span_id)
    scene.spans += [call, second]

    kept = one_span_each(scene.evidence())

    assert kept == [outer, replace(second, parent_id=outer.span_id)]


def test_a_ring_of_parents_ends():
    one, two = inner("ring", 0, 7, None), inner("ring", 1, 7, None)
    ring = [replace(one, parent_id=two.span_id), replace(two, parent_id=one.span_id)]
    scene = Scene(20)
    scene.spans += [*ring, replace(one, span_id="c" * 16, service="svc")]

    assert [span.span_id for span in one_span_each(scene.evidence())] == ["c" * 16]
