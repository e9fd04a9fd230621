"""The live view: open requests, busy resources and the current incident, update by update."""

import random
from dataclasses import replace

import pytest
from evidence_by_hand import APP, S, Scene, at, hexid, site
from hypothesis import given, settings
from hypothesis import strategies as st

from why504 import names
from why504.diagnose.kept import KEEP_NS, MOST_USUAL
from why504.diagnose.live import Live
from why504.model import Evidence, Window


def seen(scene: Scene, now_s: float | None = None, **given):
    live = Live(**given)
    live.update(scene.evidence(), at(now_s or scene.until_s))
    return live.now()


def of(now, who):
    (found,) = [stuck for stuck in now.open if stuck.trace_id == hexid(who, 32)]
    return found


def pool_scene(waiters: int = 6) -> Scene:
    """One connection, had by a request that awaits an LLM; one 504 so far."""
    scene = Scene(until_s=30)
    scene.app("holder", 0, None, "/v1/score")
    scene.gateway("holder", 0, 20)
    scene.hold("holder", 0.1, None, site=site(10))
    scene.span(
        "holder", "llm", "app", 0.2, None, kind="client", name="chat", site=site(48),
        **{names.GEN_AI_PROVIDER: "groq", names.GEN_AI_MODEL: "llama"},
    )  # fmt: skip
    for n in range(waiters):
        scene.app(f"waiter{n}", 1 + n, None)
        scene.wait(f"waiter{n}", 1.5 + n, None, **{names.POOL_CAPACITY: 1}, site=site(20))
    return scene


def test_a_pool_held_by_a_call_says_who_has_it_and_whom_that_would_free():
    now = seen(pool_scene())

    first = now.open[0]
    assert (first.trace_id, first.frees) == (hexid("holder", 32), 6)
    assert (first.state, first.does) == ("calls", "in call to LLM groq llama")
    assert (first.route, first.gateway_status, str(first.site)) == (
        "POST /v1/score", 504, "service/publisher.py:48",
    )  # fmt: skip
    assert [stuck.age_s for stuck in now.open] == [30, 29, 28, 27, 26, 25, 24]
    waiter = of(now, "waiter0")
    assert (waiter.state, waiter.waits_for, waiter.waits_s) == ("waits", "db.pool:main", 28.5)
    assert waiter.gateway_status is None
    assert waiter.held_by.trace_id == hexid("holder", 32)
    assert (waiter.held_by.route, waiter.held_by.age_s) == ("POST /v1/score", 29.9)
    assert str(waiter.held_by.site) == "service/publisher.py:10"
    [pool] = now.resources
    assert (pool.resource, pool.instance, pool.waiters, pool.units, pool.capacity) == (
        "db.pool:main", APP, 6, 1, 1,
    )  # fmt: skip
    assert pool.oldest == waiter.held_by
    assert now.victims == now.explained == 7
    assert [incident.finding.cause for incident in now.incidents] == ["B3"]
    assert sum(now.timeouts_per_s) == now.timeouts_per_s[-11] == 1


def test_a_blocked_loop_tells_who_blocks_it_and_who_stands_behind_it():
    scene = Scene(until_s=20)
    scene.app("culprit", 0, None, "/v1/publish")
    scene.stall("culprit", 1, None, site(48))
    for n in range(3):
        scene.app(f"behind{n}", 0.5, None)

    now = seen(scene)

    culprit, behind = of(now, "culprit"), of(now, "behind1")
    assert now.open[0] == culprit
    assert (culprit.state, culprit.frees, culprit.waits_for) == ("blocks", 3, "")
    assert str(culprit.site) == "service/publisher.py:48"
    assert (behind.state, behind.waits_for, behind.site) == ("behind", "loop:42", None)
    assert (behind.held_by.route, behind.held_by.age_s) == ("POST /v1/publish", 19)
    [loop] = now.resources
    assert (loop.resource, loop.waiters, loop.longest_wait_s) == ("loop:42", 3, 19)


def lock_scene() -> Scene:
    """A request keeps a row lock and asks an LLM; another's UPDATE waits for it."""
    scene = Scene(until_s=20)
    for who, pid in (("keeper", 11), ("asker", 22)):
        scene.app(who, 0, None)
        scene.hold(who, 0.1, None, site=site(10), **{names.BACKEND_PID: pid})
    scene.span("asker", "sql", "app", 0.5, None, kind="client", name="UPDATE users",
               **{names.DB_SYSTEM: "postgresql"})  # fmt: skip
    lock = "db.lock:users#11"
    told = {"part": None, "instance": "pg"}
    scene.hold("pg-hold", 0.6, None, lock, **told, **{names.BACKEND_PID: 11})
    scene.wait("pg-wait", 0.6, None, lock, **told, **{names.BACKEND_PID: 22})
    return scene


@pytest.mark.parametrize("offset_s", [0, -3, 2.5])
def test_a_database_lock_is_joined_to_both_requests_whatever_the_clock_of_its_watcher(offset_s):
    scene = lock_scene()
    evidence = scene.evidence()

    def moved(items):
        shift = round(offset_s * S)
        return [
            replace(i, start_ns=i.start_ns + shift, last_seen_ns=i.last_seen_ns + shift)
            if i.instance == "pg" else i
            for i in items
        ]  # fmt: skip

    heard = {APP: at(20), "pg": at(20 + offset_s)}
    live = Live()
    live.update(
        replace(evidence, waits=moved(evidence.waits), holds=moved(evidence.holds), heard_ns=heard),
        at(20),
    )
    now = live.now()

    asker = of(now, "asker")
    assert (asker.state, asker.waits_for) == ("waits", "db.lock:users#11")
    assert asker.held_by.trace_id == hexid("keeper", 32)
    assert of(now, "keeper").frees == 1
    lock = next(busy for busy in now.resources if busy.resource.startswith("db.lock"))
    assert (lock.instance, lock.waiters, lock.units) == ("", 1, 1)


def test_who_waits_behind_a_waiter_is_freed_too_and_a_ring_counts_nobody_twice():
    scene = Scene(until_s=10)
    for who in ("a", "b", "c"):
        scene.app(who, 0, None)
    scene.hold("a", 0.1, None, "db.pool:one")
    scene.wait("b", 0.2, None, "db.pool:one")
    scene.hold("b", 0.1, None, "db.pool:two")
    scene.wait("c", 0.2, None, "db.pool:two")
    assert [of(seen(scene), who).frees for who in "abc"] == [2, 1, 0]

    scene.hold("c", 0.1, None, "db.pool:three")
    scene.wait("a", 0.2, None, "db.pool:three")
    assert [of(seen(scene), who).frees for who in "abc"] == [2, 2, 2]


def test_a_leak_is_told_by_the_route_of_the_request_that_is_over():
    scene = Scene(until_s=10)
    scene.app("leaker", 0, 2, "/v1/leak")
    scene.hold("leaker", 1, None)
    scene.app("waiter", 3, None)
    scene.wait("waiter", 3.1, None)

    holder = of(seen(scene), "waiter").held_by

    assert (holder.route, holder.request_ended) == ("POST /v1/leak", True)


def test_a_call_to_another_service_tells_what_that_waits_for():
    scene = Scene(until_s=10)
    scene.app("r", 0, None)
    scene.span("r", "call", "app", 1, None, kind="client", name="GET")
    scene.span("r", "there", "call", 1.1, None, kind="server", name="GET /b", instance="b-1")
    scene.wait("r", 2, None, "db.pool:b", part="there", instance="b-1")
    evidence = replace(scene.evidence(), heard_ns={APP: at(10), "b-1": at(9)})
    live = Live()
    live.update(evidence, at(10))

    caller, callee = (stuck for stuck in live.now().open)

    assert (caller.state, caller.waits_for) == ("calls", "db.pool:b")
    assert caller.does == "in call to GET /b of svc, which waits for db.pool:b"
    assert (callee.state, callee.waits_for) == ("waits", "db.pool:b")


def test_what_was_due_to_be_told_again_and_was_not_is_open_no_longer():
    scene = Scene(until_s=4)
    scene.app("lost", 0, None)
    live = Live()
    live.update(scene.evidence(), at(4))
    assert len(live.now().open) == 1

    live.update(Evidence(Window(0, 1), heard_ns={APP: at(8)}), at(8))
    assert len(live.now().open) == 1
    live.update(Evidence(Window(0, 1), heard_ns={APP: at(20)}), at(20))

    assert live.now().open == []


def test_what_is_told_again_stays_open_and_grows_older():
    scene = Scene(until_s=4)
    scene.app("slow", 0, None)
    live = Live()
    live.update(scene.evidence(), at(4))
    key = hexid("slow", 32), hexid("slow/app", 16)

    live.update(Evidence(Window(0, 1), heard_ns={APP: at(20)}), at(20), {key: at(20)})

    [stuck] = live.now().open
    assert stuck.age_s == 20
    assert live.now().victims == 1


def test_what_says_something_new_counts_from_then_on_whatever_it_told_again_before():
    scene = Scene(until_s=4)
    scene.app("slow", 0, None)
    live = Live()
    live.update(scene.evidence(), at(4), {})
    live.update(Evidence(Window(0, 1)), at(9), {(hexid("slow", 32), hexid("slow/app", 16)): at(9)})
    [span] = scene.spans
    anew = replace(span, site=site(7), last_seen_ns=at(25))

    live.update(Evidence(Window(0, 1), spans=[anew], heard_ns={APP: at(36)}), at(36))

    assert [(stuck.age_s, str(stuck.site)) for stuck in live.now().open] == [
        (36, "service/publisher.py:7")
    ]


def test_a_process_that_went_silent_is_named_and_its_requests_are_not_open():
    live = Live()
    live.update(pool_scene().evidence(), at(30))
    live.update(Evidence(Window(0, 1)), at(91))

    assert (list(live.now().silent), live.now().open) == ([APP], [])


def test_what_ended_is_kept_for_fifteen_minutes_and_what_goes_on_for_longer():
    scene = Scene(until_s=10)
    scene.app("ended", 0, 2)
    scene.app("open", 0, None)
    live = Live()
    gone = live.update(scene.evidence(), at(10))
    assert (gone, live.now().kept) == (set(), 2)

    key = hexid("open", 32), hexid("open/app", 16)
    told = Evidence(Window(0, 1), heard_ns={APP: at(905)})
    gone = live.update(told, at(905), {key: at(905)})

    assert gone == {(hexid("ended", 32), hexid("ended/app", 16))}
    assert [stuck.age_s for stuck in live.now().open] == [905]


def test_the_view_is_bounded_and_says_what_it_dropped_holders_last():
    scene = pool_scene(waiters=20)
    for n in range(30):
        scene.app(f"ended{n}", n * 0.1, n * 0.1 + 1)
        scene.gateway(f"failed{n}", 1, 11)
    live = Live(most_items=30)

    gone = live.update(scene.evidence(), at(30))

    now = live.now()
    assert now.kept <= 30
    assert now.dropped == len(gone) == 2 + 1 + 1 + 20 * 2 + 30 * 2 - now.kept
    assert of(now, "holder").frees == len(now.open) - 1 > 0
    assert now.timeouts_per_s[-20] == 0


def test_of_what_ended_well_the_latest_say_what_is_usual():
    scene = Scene(until_s=10)
    for n in range(MOST_USUAL + 50):
        scene.app(f"ended{n}", 1, 1 + n / 1e5)
    now = seen(scene)

    assert (now.kept, now.dropped) == (MOST_USUAL, 0)


def test_times_that_can_not_be_are_refused_and_spoil_nothing():
    scene = pool_scene()
    good = seen(scene)
    scene.app("mad", 10**6, None)
    evidence = scene.evidence()
    broken = replace(evidence, heard_ns={**evidence.heard_ns, "mad": 2**63 - 1})
    live = Live()
    live.update(broken, at(30))

    now = live.now()

    assert now.refused == 1
    assert now == replace(good, refused=1)


def test_a_crowd_is_explained_by_an_even_sample_and_the_answer_says_so():
    scene = pool_scene(0)
    for n in range(1000):
        scene.app(f"w{n}", 1 + n / 100, None)
        scene.wait(f"w{n}", 2 + n / 100, None)

    now = seen(scene)

    assert now.victims == 1001
    assert 100 <= now.explained <= 130
    [incident] = now.incidents
    assert incident.finding.cause == "B3"
    assert incident.count == 1001
    assert any(str(now.explained) in caveat for caveat in incident.caveats)


def test_nothing_new_is_nothing_found_out_again():
    live = Live()
    live.update(pool_scene().evidence(), at(30))
    first = live.now()
    live.update(Evidence(Window(0, 1)), at(31))

    second = live.now()

    assert second.open is first.open
    assert second.incidents is first.incidents
    assert second.timeouts_per_s[-12] == first.timeouts_per_s[-11] == 1


def split(evidence: Evidence, rng: random.Random) -> list[Evidence]:
    """Items in random order, in random portions, some of them twice."""
    items = [*evidence.spans, *evidence.waits, *evidence.holds, *evidence.stalls]
    items += rng.sample(items, len(items) // 3)
    rng.shuffle(items)
    portions = []
    while items:
        taken = rng.randint(1, len(items))
        portions.append(Evidence.of(items[:taken], Window(0, 1), evidence.heard_ns))
        items = items[taken:]
    return portions


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), looks=st.booleans())
def test_any_portions_in_any_order_give_the_same_view(seed, looks):
    rng = random.Random(seed)
    scene = rng.choice([pool_scene, lock_scene])()
    for n in range(rng.randint(0, 12)):
        start_s = rng.uniform(0, 15)
        scene.app(f"more{n}", start_s, rng.choice([None, start_s + rng.uniform(0, 4)]))
        made = rng.choice([scene.wait, scene.hold, lambda *_: None])
        made(f"more{n}", start_s + 0.1, rng.choice([None, start_s + 0.2]), rng.choice(
            ["db.pool:main", "threadpool"]
        ))  # fmt: skip
        if rng.random() < 0.2:
            scene.stall(f"more{n}", start_s + 0.3, None, site(n))
        if rng.random() < 0.3:
            scene.gateway(f"more{n}", start_s, start_s + 5)
    evidence = scene.evidence()
    whole, parts = Live(), Live()

    whole.update(evidence, at(scene.until_s))
    for portion in split(evidence, rng):
        parts.update(portion, at(scene.until_s))
        if looks:
            parts.now()

    assert parts.now() == whole.now()


def test_old_and_future_are_fifteen_minutes_away():
    assert KEEP_NS == 900 * S
