"""The replay against systems of which everything is known, computed in another way."""

import heapq
import random
from dataclasses import replace

import pytest
from evidence_by_hand import Scene, site
from hypothesis import given, settings
from hypothesis import strategies as st
from test_engine import pool_scene

from why504 import names
from why504.diagnose import explain
from why504.model import Sample

LIMIT_S = 4.0
AROUND_S = (LIMIT_S + 0.002, LIMIT_S - 0.002)
"""A gateway's log tells milliseconds: nobody knows of those who were late by one."""
LLM = {names.GEN_AI_PROVIDER: "groq", names.GEN_AI_MODEL: "llama"}


def earlier(scene: Scene, count: int = 5) -> Scene:
    """Requests that were answered before anything happened."""
    for n in range(count):
        scene.gateway(f"early{n}", -3 + n * 0.1, -2.8 + n * 0.1, 200)
        scene.app(f"early{n}", -3 + n * 0.1, -2.8 + n * 0.1)
    return scene


def replayed(scene: Scene):
    [incident] = explain(scene.evidence(), what_if=True)
    return incident.replay


def left(replay, words: str) -> int:
    return next(tried.left for tried in replay.tried if words in tried.change)


class Pool:
    """Requests of a pool: before, with and after a connection, in seconds."""

    def __init__(self, seed: int, units: int, slow_share: float) -> None:
        rng = random.Random(seed)
        self.units = units
        self.start_s = sorted(rng.uniform(0, 20) for _ in range(80))
        self.before_s = [rng.uniform(0.001, 0.05) for _ in self.start_s]
        self.call_s = [
            rng.uniform(4, 9) if rng.random() < slow_share else rng.uniform(0.05, 0.3)
            for _ in self.start_s
        ]
        self.after_s = [rng.uniform(0.001, 0.05) for _ in self.start_s]

    def served(self, units: int, longest_s: float = 1e9) -> list[tuple[float, float, float]]:
        """Return when each one has a connection, gives it back, and answers (Kiefer-Wolfowitz)."""
        free_s = [0.0] * units
        found = {}
        came_s = [a + b for a, b in zip(self.start_s, self.before_s, strict=True)]
        for n in sorted(range(len(came_s)), key=lambda n: came_s[n]):
            taken_s = max(came_s[n], heapq.heappop(free_s))
            given_s = taken_s + min(self.call_s[n], longest_s)
            heapq.heappush(free_s, given_s)
            found[n] = (taken_s, given_s, given_s + self.after_s[n])
        return [found[n] for n in range(len(came_s))]

    def late(self, units: int, longest_s: float = 1e9, limit_s: float = LIMIT_S) -> set[int]:
        served = self.served(units, longest_s)
        return {n for n, row in enumerate(served) if row[2] - self.start_s[n] > limit_s}

    def scene(self) -> Scene:
        scene = earlier(Scene(until_s=600))
        late = self.late(self.units)
        for n, (taken_s, given_s, done_s) in enumerate(self.served(self.units)):
            who, start_s = f"r{n}", self.start_s[n]
            came_s = start_s + self.before_s[n]
            scene.gateway(
                who, start_s, start_s + LIMIT_S if n in late else done_s,
                504 if n in late else 200, **{names.GATEWAY_TIMEOUT_S: LIMIT_S},
            )  # fmt: skip
            scene.app(who, start_s, done_s)
            if taken_s > came_s:
                scene.wait(who, came_s, taken_s, **{names.POOL_CAPACITY: self.units})
            scene.hold(who, taken_s, given_s, site=site(3))
            scene.span(who, "llm", "app", taken_s, given_s, kind="client", site=site(9), **LLM)
        return scene


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), units=st.integers(1, 4), share=st.floats(0.1, 0.6))
def test_a_replayed_pool_says_exactly_who_would_have_been_late(seed, units, share):
    pool = Pool(seed, units, share)
    victims = pool.late(units)
    on_the_edge = pool.late(units, limit_s=AROUND_S[1]) - pool.late(units, limit_s=AROUND_S[0])
    if not victims or on_the_edge:  # who answered at the limit itself may fare either way
        return

    for incident in explain(pool.scene().evidence(), what_if=True):
        replay = incident.replay
        if incident.count < len(victims):  # a second incident: the first one's is another window
            return
        assert replay.why_not == ""
        assert replay.same == replay.requests
        assert len(replay.tried) >= 1
        for tried in replay.tried:
            if "took at most" in tried.change:
                changed = [pool.late(units, LIMIT_S / 4, limit_s) for limit_s in AROUND_S]
            elif "the gateway waited" in tried.change:
                changed = [pool.late(units, limit_s=LIMIT_S + limit_s) for limit_s in AROUND_S]
            elif "as it did before" in tried.change:
                continue
            else:
                assert "places instead" in tried.change
                changed = [pool.late(units * 2, limit_s=limit_s) for limit_s in AROUND_S]
            later, sooner = changed
            assert len(later & victims) <= tried.left <= len(sooner & victims)
            assert len(later - victims) <= tried.new <= len(sooner - victims)


def test_a_call_that_never_ended_is_bounded_and_everybody_is_served():
    replay = replayed(earlier(pool_scene()))

    assert (replay.same, replay.requests) == (8, 8)
    assert left(replay, "LLM groq llama took at most 1.25 s") == 0
    assert left(replay, "db.pool:main had 4 places instead of 2") == 2


def test_a_call_that_was_quick_before_is_tried_out_as_quick():
    scene = earlier(pool_scene())
    for n in range(5):
        scene.span(f"early{n}", "llm", "app", -2.99, -2.85, kind="client", name="chat llama", **LLM)

    assert left(replayed(scene), "took 0.14 s, as it did before") == 0


def leaking_scene() -> Scene:
    scene = earlier(Scene(until_s=30))
    for n in range(2):
        scene.gateway(f"leak{n}", n * 0.1, n * 0.1 + 0.2, 200)
        scene.app(f"leak{n}", n * 0.1, n * 0.1 + 0.2)
        scene.hold(f"leak{n}", n * 0.1, None, site=site(7), **{names.POOL_CAPACITY: 2})
    for n in range(4):
        scene.gateway(f"victim{n}", 2 + n, 6 + n)
        scene.app(f"victim{n}", 2 + n, None)
        scene.wait(f"victim{n}", 2.01 + n, None, **{names.POOL_CAPACITY: 2})
    return scene


def test_connections_that_are_given_back_leak_no_more():
    replay = replayed(leaking_scene())

    assert left(replay, "given back with their answer") == 0
    assert replay.same == replay.requests == 4


def stalled_scene(route: str = "/v1/score") -> Scene:
    """One request blocks the loop for six seconds; others, of /v1/x, come meanwhile."""
    scene = earlier(Scene(until_s=30))
    scene.gateway("culprit", 0, 4)
    scene.app("culprit", 0.001, 6.01, route)
    scene.stall("culprit", 0.01, 6.01, site(48), **{names.STALL_CPU_S: 0.1})
    for n in range(5):
        scene.gateway(f"unseen{n}", 0.5 + n * 0.1, 4.5 + n * 0.1)
    return scene


def test_what_runs_elsewhere_blocks_nobody_but_itself():
    replay = replayed(stalled_scene())

    assert replay.same == replay.requests == 6
    assert left(replay, "but not on the event loop") == 1
    assert left(replay, "took at most 1 s") == 0


def test_whoever_waited_in_vain_may_be_the_next_to_hang():
    replay = replayed(stalled_scene(route="/v1/x"))

    # A second each, one after the other: of six the last two are too late.
    assert left(replay, "took at most 1 s") == 2
    assert left(replay, "but not on the event loop") == 6


def test_a_session_that_keeps_a_lock_is_ended():
    scene = earlier(Scene(until_s=30))
    scene.locks_watched(0, 30)
    lock = "db.lock:friendship#77"
    scene.hold("psql", 0, None, lock, instance="pg", **{names.BACKEND_PID: 77})
    for n in range(4):
        who = f"victim{n}"
        scene.gateway(who, 1 + n, 5 + n)
        scene.app(who, 1 + n, None)
        scene.hold(who, 1 + n, None, **{names.BACKEND_PID: 100 + n, names.POOL_CAPACITY: 9})
        scene.span(
            who, "sql", "app", 1.01 + n, None, kind="client", name="SELECT x",
            **{names.DB_SYSTEM: "postgresql"},
        )  # fmt: skip
        scene.wait(who, 1.02 + n, None, lock, instance="pg", **{names.BACKEND_PID: 100 + n})
    evidence = scene.evidence()
    heard_ns = {**evidence.heard_ns, "pg": evidence.window.end_ns}

    [incident] = explain(replace(evidence, heard_ns=heard_ns), what_if=True)

    assert incident.finding.cause == "A2b"
    assert left(incident.replay, "took at most 1 s") == 0


def test_many_calls_are_tried_out_as_one():
    scene = earlier(Scene(until_s=60))
    for n in range(6):
        who, start_s = f"victim{n}", n * 0.5
        scene.gateway(who, start_s, start_s + LIMIT_S)
        scene.app(who, start_s, start_s + 10)
        for call in range(50):
            at_s = start_s + call * 0.2
            scene.span(
                who, f"sql{call}", "app", at_s, at_s + 0.15, kind="client", name="SELECT x",
                **{names.DB_SYSTEM: "postgresql"},
            )  # fmt: skip

    replay = replayed(scene)

    assert [tried.change for tried in replay.tried] == [
        "database SELECT x was asked once a request instead of 50 times"
    ]
    assert replay.tried[0].left == 0


def test_a_gateway_that_waited_longer_would_have_had_its_answers():
    scene = Scene(until_s=60)
    for n in range(6):
        scene.gateway(f"early{n}", -60 + n, -55 + n, 200, **{names.GATEWAY_TIMEOUT_S: 60.0})
        scene.app(f"early{n}", -60 + n, -55 + n)
        scene.span(f"early{n}", "llm", "app", -60 + n, -55 + n, kind="client", **LLM)
        scene.gateway(f"victim{n}", n, n + LIMIT_S)
        scene.app(f"victim{n}", n, n + 5)
        scene.span(f"victim{n}", "llm", "app", n, n + 5, kind="client", **LLM)

    [incident] = explain(scene.evidence(), what_if=True)

    assert incident.finding.cause == "G1"
    assert left(incident.replay, "the gateway waited 8 s") == 0


def test_a_replay_that_gives_something_else_says_nothing():
    scene = earlier(Scene(until_s=30))
    scene.hold("stranger", 0, 9, site=site(3), **{names.POOL_CAPACITY: 1})
    for n in range(8):
        scene.gateway(f"victim{n}", 1, 5)
        scene.app(f"victim{n}", 1, 5.5)
        # Told to have waited although there were places: the record contradicts itself.
        scene.wait(f"victim{n}", 1.01, 5.4, **{names.POOL_CAPACITY: 50})

    replay = replayed(scene)

    assert replay.tried == ()
    assert replay.why_not == "played again unchanged, only 0 of 8 requests fare as they did"


def test_without_any_answered_request_nothing_is_said():
    assert "no request is known to have been answered" in replayed(pool_scene()).why_not


def test_a_sample_is_not_played():
    evidence = replace(earlier(pool_scene()).evidence(), sample=Sample({}, {}, 13))

    [incident] = explain(evidence, what_if=True)

    assert incident.replay.why_not == "only a part of what happened was read"


@pytest.mark.parametrize("cause", ["E1", "C1"])
def test_where_no_line_is_at_fault_none_is_tried_out(cause):
    scene = earlier(Scene(until_s=10))
    scene.stall("culprit", 0, 9, site(7), **{names.STALL_CPU_S: 4.0})
    used = {"cpu_s": 2.0, "delay_s": 8.0} if cause == "E1" else {"cpu_s": 8.0, "gc_s": 7.0}
    for second in range(9):
        scene.told_of_itself(second, second + 1, **{k: v / 9 for k, v in used.items()})
    scene.gateway("unseen", 1, 6)

    [incident] = explain(scene.evidence(), what_if=True)

    assert incident.finding.cause == cause
    assert incident.replay.tried == []


def test_nobody_is_played_who_was_not_asked_to():
    assert explain(earlier(pool_scene()).evidence())[0].replay is None
