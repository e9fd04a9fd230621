"""The verdict on a moment, and the figures of the page that shows it."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from evidence_by_hand import Scene, at, hexid, site
from hypothesis import given
from hypothesis import strategies as st

from why504 import names
from why504.diagnose.health import BINS, ages, blocker, health, queues, used
from why504.diagnose.live import Live
from why504.diagnose.now import Busy


def seen(scene: Scene, now_s: float | None = None):
    live = Live()
    live.update(scene.evidence(), at(now_s or scene.until_s))
    return live.now()


def waiting(until_s: float, begun_s: float = 0.0, waiters: int = 3) -> Scene:
    """One connection, had since `begun_s`; others wait for it from a second later on."""
    scene = Scene(until_s)
    scene.app("holder", begun_s, None, "/v1/score")
    scene.hold("holder", begun_s + 0.1, None, site=site(10))
    for n in range(waiters):
        scene.app(f"waiter{n}", begun_s + 1, None)
        scene.wait(f"waiter{n}", begun_s + 1, None, **{names.POOL_CAPACITY: 1})
    return scene


def served(scene: Scene, who: str, start_s: float, end_s: float, **told) -> Scene:
    scene.gateway(who, start_s, end_s, status=200, **told)
    scene.app(who, start_s, end_s)
    return scene


LIMIT = {names.GATEWAY_TIMEOUT_S: 20.0}


def test_requests_that_are_answered_in_time_are_healthy():
    found = health(seen(served(Scene(10), "a", 8, 8.5, **LIMIT)))

    assert (found.state, found.open, found.timeouts, found.heard_s) == ("healthy", 0, 0, 0.0)
    assert (found.limit_s, found.slow_after_s) == (20.0, 5.0)


@pytest.mark.parametrize(
    ("until_s", "state", "slow", "late"),
    [(4, "healthy", 0, 0), (7, "slow", 4, 0), (12, "hung", 4, 0), (22, "hung", 4, 4)],
)
def test_who_waits_turns_from_slow_to_hung(until_s, state, slow, late):
    scene = served(waiting(until_s), "usual", 0.1, 0.2, **LIMIT)

    found = health(seen(scene))

    assert (found.state, found.slow, found.late) == (state, slow, late)


def test_a_gateway_that_waits_briefly_makes_slow_what_takes_half_of_that():
    scene = served(Scene(3), "usual", 0.1, 0.2, **{names.GATEWAY_TIMEOUT_S: 4.0})
    scene.app("a", 0.5, None)

    assert health(seen(scene)).state == "slow"
    assert health(seen(scene)).slow_after_s == 2.0


def test_a_504_just_now_is_a_hang_and_one_a_moment_ago_is_over():
    scene = Scene(30)
    scene.gateway("a", 0, 25)
    scene.app("a", 0, 26)

    assert health(seen(scene)).state == "hung"
    assert health(seen(scene, 50)).state == "recovering"


def test_a_call_that_takes_long_is_slow_and_no_hang_until_the_gateway_gave_up():
    scene = served(Scene(19), "usual", 0.1, 0.2, **LIMIT)
    scene.app("a", 0, None)
    scene.span("a", "llm", "app", 0.2, None, kind="client", name="chat")

    assert health(seen(scene)).state == "slow"


def test_one_request_that_was_given_up_long_ago_and_never_ends_is_no_hang():
    scene = served(Scene(400), "usual", 399, 399.5, **LIMIT)
    scene.app("a", 0, None)

    found = health(seen(scene))

    assert (found.state, found.late) == ("slow", 1)


def test_a_client_that_hung_up_early_is_no_504():
    scene = served(Scene(4), "usual", 0.1, 0.2, **LIMIT)
    scene.gateway("a", 0, 0.05, status=499)
    scene.app("a", 0, None)

    assert health(seen(scene)).state == "healthy"


def test_a_job_may_take_its_time():
    scene = served(Scene(300), "usual", 299, 299.5, **LIMIT)
    scene.span("job", "nightly", "none", 0, None, kind="internal")

    found = health(seen(scene))

    assert (found.state, found.open) == ("healthy", 1)


def test_no_news_is_no_all_clear():
    scene = served(Scene(10), "a", 8, 8.5)

    assert health(seen(scene, 69)).state == "healthy"
    late = health(seen(scene, 72))
    assert (late.state, late.heard_s) == ("unheard", 62.0)
    gone = health(seen(scene, 5_000))
    assert (gone.state, gone.heard_s) == ("unheard", None)
    assert health(Live().now()).state == "unheard"


def test_a_gateway_and_a_watcher_that_speak_do_not_vouch_for_the_service():
    scene = Scene(100)
    scene.app("a", 1, 2)
    scene.gateway("b", 98, 99, status=502)
    scene.locks_watched(98, 99)
    evidence = replace(scene.evidence(), heard_ns={"app-1": at(2), "gw-1": at(99), "pg": at(99)})
    live = Live()
    live.update(evidence, at(100))

    assert health(live.now()).state == "unheard"


def test_a_clock_that_is_ahead_is_not_heard_of_in_the_future():
    assert health(seen(served(Scene(10), "a", 8, 8.5), 7)).heard_s == 0.0


@pytest.mark.parametrize("told", [float("nan"), float("inf"), -1.0, 0, "4"])
def test_a_limit_that_makes_no_sense_is_not_known(told):
    found = seen(served(Scene(10), "a", 8, 8.5, **{names.GATEWAY_TIMEOUT_S: told}))

    assert found.limit_s is None
    assert health(found, 30.0).limit_s == 30.0


def test_a_gateway_that_tells_no_limit_waited_as_long_as_for_its_504s():
    scene = Scene(30)
    for n in range(3):
        scene.gateway(f"v{n}", n, n + 20)

    assert seen(scene).limit_s == 20.0


def test_who_holds_up_most_is_named_and_a_leak_too():
    worst = blocker(seen(waiting(12)))
    assert worst is not None
    assert (worst.trace_id, worst.route, worst.frees) == (
        hexid("holder", 32), "POST /v1/score", 3,
    )  # fmt: skip

    scene = Scene(20)
    scene.app("leaker", 0, 2, "/v1/leak")
    scene.hold("leaker", 1, None, site=site(7), **{names.REQUEST_ENDED: True})
    scene.app("waiter", 3, None)
    scene.wait("waiter", 3, None)
    leak = blocker(seen(scene))
    assert leak is not None
    assert (leak.does, leak.request_ended, leak.frees, leak.age_s) == (
        "has db.pool:main", True, 1, 19.0,
    )  # fmt: skip
    assert leak.site == site(7)
    assert blocker(seen(Scene(1))) is None


def test_a_session_outside_is_named_before_those_who_wait_for_it_and_keep_the_pool():
    scene = Scene(30)
    scene.app("asker", 0, None)
    scene.hold("asker", 0.1, None, **{names.BACKEND_PID: 22})
    scene.span("asker", "sql", "app", 0.5, None, kind="client", name="UPDATE users",
               **{names.DB_SYSTEM: "postgresql"})  # fmt: skip
    lock, told = "db.lock:users#11", {"part": None, "instance": "pg"}
    session = {names.BACKEND_PID: 11, names.LOCK_SESSION: "psql, idle in transaction"}
    scene.hold("pg-hold", 0.2, None, lock, **told, **session)
    scene.wait("pg-wait", 0.6, None, lock, **told, **{names.BACKEND_PID: 22})
    for n in range(4):
        scene.app(f"waiter{n}", 1, None)
        scene.wait(f"waiter{n}", 1, None)
    live = Live()
    live.update(replace(scene.evidence(), heard_ns={"app-1": at(30), "pg": at(30)}), at(30))

    now = live.now()
    worst = blocker(now)

    assert now.open[0].trace_id == hexid("asker", 32)
    assert worst is not None
    assert (worst.route, worst.does, worst.frees, worst.outside, worst.request_ended) == (
        "psql, idle in transaction", "has db.lock:users#11", 5, True, False,
    )  # fmt: skip


def test_every_holder_is_told_with_what_it_does_now():
    scene = waiting(12)
    scene.app("second", 2, None, "/v1/second")
    scene.hold("second", 3, None, site=site(11))

    now = seen(scene)

    assert [(h.route, h.age_s, h.waiters) for h in now.holders] == [
        ("POST /v1/score", 11.9, 3), ("POST /v1/second", 9.0, 3),
    ]  # fmt: skip
    assert now.holders[0].site == site(10)
    assert now.holders[0].does == now.open[0].does
    assert len(now.holders) == now.resources[0].units


def test_thousands_of_holders_are_told_up_to_500():
    scene = Scene(30)
    for n in range(700):
        scene.app(f"h{n}", 0, None)
        scene.hold(f"h{n}", 1 + n / 1000, None)

    now = seen(scene)

    assert len(now.holders) == 500
    assert now.resources[0].units == 700


def test_queues_count_who_waits_by_route():
    scene = waiting(12)
    scene.app("other", 5, None, "/v1/other")
    scene.wait("other", 6, None)

    [(key, told)] = queues(seen(scene)).items()

    assert key == ("db.pool:main", "app-1")
    assert [(one.route, one.count, one.longest_s) for one in told] == [
        ("POST /v1/x", 3, 11.0), ("POST /v1/other", 1, 6.0),
    ]  # fmt: skip


def test_ages_reach_past_the_limit_and_count_what_is_older_still():
    now = seen(waiting(12))
    young, old = ages(now, 20.0), ages(now, 1.0)

    assert (reach_s(young), sum(young.counts), young.longer) == (30.0, 4, 0)
    assert (reach_s(old), sum(old.counts), old.longer) == (10.0, 0, 4)
    alone = ages(now, None)
    assert (reach_s(alone), alone.counts[-1], len(alone.counts)) == (12.0, 1, BINS)
    nothing = ages(seen(Scene(1)), None)
    assert (sum(nothing.counts), nothing.longer) == (0, 0)


def reach_s(told):
    return pytest.approx(told.width_s * len(told.counts))


@given(st.floats(0.001, 1e6), st.lists(st.floats(0, 1e7), max_size=20))
def test_the_limit_is_where_two_bins_meet_and_nobody_is_lost(limit_s, ages_s):
    open_ = [SimpleNamespace(age_s=age_s) for age_s in ages_s]

    told = ages(SimpleNamespace(open=open_), limit_s)

    assert limit_s / told.width_s == pytest.approx(round(limit_s / told.width_s))
    assert len(told.counts) * told.width_s > limit_s
    assert len(told.counts) <= 2 * BINS
    assert sum(told.counts) + told.longer == len(ages_s)


def test_a_pool_that_is_waited_for_is_full():
    pool = Busy("db.pool:main", "a", 3, 1.0, 1, 15, None)

    assert used(pool) == 15
    assert used(replace(pool, waiters=0)) == 1
    assert used(replace(pool, capacity=None)) == 1
