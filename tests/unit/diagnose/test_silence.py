"""A process that fell silent while its loop stood: what that says, and who contradicts it."""

from __future__ import annotations

import dataclasses

import pytest
from evidence_by_hand import APP, Scene, at, site

from why504 import names
from why504.diagnose import explain
from why504.model import Evidence

CONNECTED = {names.GATEWAY_UPSTREAM_CONNECT_S: 0.0}
LAST_WORD_S = 3.0
SILENT = "its process told nothing more"
LATER = [(4 + n, 9 + n) for n in range(8)]
"""Begin and end of requests that nobody took up after the last word."""


def evidence(scene: Scene, *, told_s: float = 2.5, heard_s: float = LAST_WORD_S) -> Evidence:
    """The scene, its open stall last told at `told_s`, its process last heard of at `heard_s`."""
    whole = scene.evidence()
    stalls = [dataclasses.replace(stall, last_seen_ns=at(told_s)) for stall in whole.stalls]
    return dataclasses.replace(whole, stalls=stalls, heard_ns={APP: at(heard_s)})


def hang(**upstream: float) -> Scene:
    scene = Scene(until_s=60)
    scene.stall("culprit", 0, None, site(7), **{names.SERVER_PORT: 8000})
    for n, (start_s, end_s) in enumerate(LATER):
        scene.gateway(f"unseen{n}", start_s, end_s, **(upstream or CONNECTED))
    return scene


def causes(found: Evidence) -> set[str]:
    return {incident.finding.cause for incident in explain(found)}


def test_while_nobody_contradicts_the_stall_goes_on():
    [incident] = explain(evidence(hang()))

    assert (incident.finding.cause, incident.finding.mechanism) == ("B1", "loop")
    assert all(victim.explained for victim in incident.victims)
    [loop] = [link for link in incident.finding.chain if "event loop of" in link.what]
    assert loop.evidence == ["1 stall, longest 3.0 s, 3.0 s in all", SILENT]


def test_what_is_not_due_to_be_told_again_yet_is_no_silence():
    scene = Scene(until_s=5)
    scene.stall("culprit", 0, None, site(7))
    scene.app("waits", 1, None)

    [incident] = explain(evidence(scene, told_s=4.5, heard_s=4.9), slower_than_s=1.0)

    [loop] = [link for link in incident.finding.chain if "event loop of" in link.what]
    assert SILENT not in loop.evidence


def test_stalls_that_overlap_stood_no_longer_than_the_time_that_they_cover():
    scene = Scene(until_s=16)
    scene.stall("culprit", 1, None, site(7), **{names.STALL_SHARE: 0.9})
    for n in range(10):
        scene.stall("culprit", 2 + n, 2.5 + n, site(7))
    scene.app("waits", 1, None)

    [incident] = explain(scene.evidence(), slower_than_s=1.0)

    [loop] = [link for link in incident.finding.chain if "event loop of" in link.what]
    assert loop.evidence[0] == "11 stalls, longest 15.0 s, 15.0 s in all"
    assert not any("to the end" in line for line in incident.finding.evidence_for)


@pytest.mark.parametrize(
    ("status", "came_back"),
    [
        (200, {names.GATEWAY_UPSTREAM_HEADER_S: 0.01}),
        (504, {names.GATEWAY_UPSTREAM_HEADER_S: 0.01}),
        (502, {}),
    ],
    ids=["an answer: only its records are lost", "a 504 of its own", "refused: it was killed"],
)
def test_what_comes_back_from_it_ends_the_stall(status, came_back):
    scene = hang()
    scene.gateway("other", 3.4, 3.5, status, **CONNECTED, **came_back)

    assert causes(evidence(scene)) == {"UNKNOWN"}


def test_until_it_answered_the_stall_went_on():
    scene = hang()
    answered_s = 12
    scene.gateway("late", 1, answered_s, 200, **{names.GATEWAY_UPSTREAM_HEADER_S: 11})

    [incident] = explain(evidence(scene))

    stalled_s = sum(min(end_s, answered_s) - start_s for start_s, end_s in LATER if start_s < 12)
    [stall] = [blame for blame in incident.blames if blame.leaf.kind == "stall"]
    assert stall.seconds == pytest.approx(stalled_s)


@pytest.mark.parametrize("since_s", [0, 3.2], ids=["another worker", "the one started instead"])
def test_another_process_on_its_port_ends_the_stall(since_s):
    scene = hang()
    port = {names.SERVER_PORT: 8000}
    scene.span(
        "alive", "app", "gw", since_s, 20, kind="server", instance="app-2",
        **{names.HTTP_ROUTE: "/v1/y", **port},
    )  # fmt: skip

    assert causes(evidence(scene)) == {"UNKNOWN"}


def test_who_is_heard_again_and_tells_of_no_stall_is_over_it():
    """The receiver was away for a minute: the end of the stall is among what was lost."""
    assert causes(evidence(hang(), heard_s=60)) == {"UNKNOWN"}


def test_a_stall_of_everyday_length_explains_no_silence():
    assert causes(evidence(hang(), told_s=0.6)) == {"UNKNOWN"}


def test_a_machine_that_takes_no_connection_is_gone_not_stalled():
    assert causes(evidence(hang(**{names.GATEWAY_ATTEMPTS: 1}))) == {"UNKNOWN"}


# --- without a core, until nothing could be told any more -----------------------------------------


def starving(heard_s: float = LAST_WORD_S, **lacked: float) -> Evidence:
    """The last word of a process that no request reached any more: its vitals."""
    scene = Scene(until_s=60)
    scene.app("served", 0.1, 0.2)
    scene.told_of_itself(0.5, LAST_WORD_S, **(lacked or {"cpu_s": 0.1, "delay_s": 9}))
    for n, (start_s, end_s) in enumerate(LATER):
        scene.gateway(f"unseen{n}", start_s, end_s, **CONNECTED)
    return dataclasses.replace(scene.evidence(), heard_ns={APP: at(heard_s)})


def test_who_had_no_core_and_fell_silent_still_has_none():
    [incident] = explain(starving())

    assert (incident.finding.cause, incident.finding.mechanism) == ("E1", "loop")
    assert all(victim.explained for victim in incident.victims)


def test_who_fell_silent_with_a_core_is_unknown():
    assert causes(starving(cpu_s=2.0, delay_s=0.1)) == {"UNKNOWN"}


def test_who_could_speak_of_other_things_had_a_core():
    assert causes(starving(heard_s=LAST_WORD_S + 5)) == {"UNKNOWN"}


def test_an_answer_says_that_only_the_words_were_lost():
    told = starving()
    answered = Scene(until_s=60)
    answered.gateway("other", 3.4, 3.5, 200, **CONNECTED, **{names.GATEWAY_UPSTREAM_HEADER_S: 0.1})

    assert causes(dataclasses.replace(told, spans=[*told.spans, *answered.spans])) == {"UNKNOWN"}
