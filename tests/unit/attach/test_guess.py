"""The table of `why504 attach`: each row on a look that shows it, and on its nearest confusion."""

import pytest
from looks import (
    LIB,
    OWN,
    SELECT,
    SITE,
    WAIT,
    client,
    connection,
    frame,
    guess_of,
    loop,
    thread,
    workers,
)
from looks import scene as scene_of

from why504.diagnose.causes import CAUSES
from why504.diagnose.hung.of_threads import OF_PEERS
from why504.diagnose.hung.snapshot import Child, Listener

PIKA = frame(SITE + "pika/adapters/blocking_connection.py", "BlockingConnection.__init__")
PSYCOPG = frame(SITE + "psycopg/waiting.py", "wait_epoll")
GROQ = frame(SITE + "groq/_client.py", "create")
HTTPX = frame(SITE + "httpx/_client.py", "Client.get")
REDIS = frame(SITE + "redis/connection.py", "read_response")
POOL = frame(SITE + "sqlalchemy/util/queue.py", "Queue.get")
FREE = loop()


@pytest.mark.parametrize(
    ("inside", "cause"),
    [
        ((OWN,), "B1"),
        ((PSYCOPG, OWN), "B1"),
        ((GROQ, OWN), "B1"),
        ((WAIT, POOL, OWN), "B1"),
        ((PIKA, OWN), "F1"),
    ],
)
def test_a_loop_that_stays_in_one_call_is_judged_by_what_it_calls(inside, cause):
    guess = guess_of(loop(*inside), sockets=[client()])

    assert (guess.cause, guess.site) == (cause, OWN)
    assert "app/orders.py:12" in guess.sentence
    assert "1 client waits, the oldest for 40 s" in guess.evidence_for


def test_a_loop_that_is_at_the_line_in_some_samples_only_is_not_blocked():
    assert guess_of(loop(OWN, at_site=9, same=6), sockets=[client()]).cause == "UNKNOWN"


def test_one_sample_proves_no_block():
    assert guess_of(loop(OWN, samples=1, same=1, at_site=1), samples=1).cause == "UNKNOWN"


def test_a_loop_that_burns_a_core_computes_and_does_not_wait():
    assert guess_of(loop(OWN, cpu_s=1.9, call=""), cpu_s=1.9).cause == "A3"
    assert guess_of(loop(OWN, cpu_s=0.1), cpu_s=0.1).cause == "B1"


def test_who_starts_the_loop_is_not_what_blocks_it():
    assert guess_of(FREE).cause == "N0"


@pytest.mark.parametrize(
    ("inside", "causes"),
    [
        ((PIKA, OWN), ("F1",)),
        ((GROQ, OWN), ("B3", "B2")),
        ((PSYCOPG, OWN), ("A2b", "A2a")),
        ((HTTPX, OWN), ("D1", "B3")),
        ((REDIS, OWN), ("D1",)),
    ],
)
def test_threads_in_calls_to_a_peer_are_that_peer(inside, causes):
    guess = guess_of(FREE, *workers(6, *inside, call="recvfrom"), sockets=[client()])

    assert (guess.cause, *guess.or_else) == causes
    assert guess.sentence.startswith("6 threads wait at the same place")


def test_a_peer_is_known_by_its_port_where_the_library_says_nothing():
    own_client = workers(3, OWN, call="recvfrom", fds=(5,))
    guess = guess_of(FREE, *own_client, sockets=[connection(fd=5, remote_port=5432), client(fd=6)])

    assert guess.cause == "A2b"
    assert "PostgreSQL 10.0.0.9:5432" in guess.sentence


def test_forty_threads_are_all_that_there_are_and_thirty_nine_are_not():
    sleeping = {"call": "clock_nanosleep"}

    assert guess_of(FREE, *workers(40, OWN, **sleeping), sockets=[client()]).cause == "C2"
    assert guess_of(FREE, *workers(39, OWN, **sleeping), sockets=[client()]).cause == "UNKNOWN"


def test_forty_threads_in_http_calls_are_a_full_pool_first_and_in_an_llm_the_llm():
    assert guess_of(FREE, *workers(40, HTTPX, OWN), sockets=[client()]).cause == "C2"
    assert guess_of(FREE, *workers(40, GROQ, OWN), sockets=[client()]).cause == "B3"


def test_waiting_in_a_pool_is_a_leak_only_if_nobody_is_seen_with_a_connection():
    waiting = workers(5, WAIT, POOL, OWN, call="futex")
    holder = thread(PIKA, frame("app/publish.py", "send"), tid=50, name="AnyIO worker thread")

    alone = guess_of(FREE, *waiting, sockets=[client()])
    held = guess_of(FREE, *waiting, holder, sockets=[client()])

    assert (alone.cause, alone.or_else) == ("A1a", ("A1c",))
    assert held.cause == "F1"
    assert "app/publish.py:1" in held.sentence
    assert "likely, not seen" in " ".join(held.evidence_against)


def test_locks_are_a_deadlock_while_nobody_runs():
    main = thread(frame(LIB + "threading.py", "Thread.join"), OWN, tid=1)
    waiting = [thread(OWN, tid=n, call="futex") for n in (2, 3)]
    running = thread(OWN, tid=4, call="", cpu_s=1.9)

    assert "a deadlock" in guess_of(main, *waiting, listeners=[]).sentence
    assert guess_of(main, *waiting, running, listeners=[], cpu_s=1.9).cause == "A3"
    assert guess_of(main, waiting[0], listeners=[]).cause == "UNKNOWN"
    assert "deadlock" not in guess_of(main, waiting[0], listeners=[]).sentence


def test_who_waits_for_the_interpreter_waits_for_no_lock_of_the_application():
    waiting = [thread(OWN, tid=n, call="futex") for n in (1, 2)]

    assert "deadlock" in guess_of(*waiting, listeners=[]).sentence
    assert "deadlock" not in guess_of(*waiting, listeners=[], cpu_s=1.9).sentence


def test_a_loop_that_got_events_and_can_not_run_is_not_free():
    assert scene_of(loop(SELECT, call="epoll_wait")).doings[0].kind == "free"
    assert scene_of(loop(SELECT, call="futex")).doings[0].kind == "waits"


def test_a_worker_that_waits_for_messages_is_idle_and_no_broken_broker():
    consuming = PIKA._replace(function="BlockingChannel.start_consuming")

    assert guess_of(thread(PIKA, consuming, OWN, tid=1), listeners=[]).cause == "N0"


def test_a_thread_that_keeps_the_interpreter_while_it_waits_is_named_before_its_victims():
    victim = loop(SELECT, call="futex", site=None)
    keeper = thread(OWN, call="read", has_gil=10)

    guess = guess_of(victim, keeper)

    assert guess.cause == "UNKNOWN"
    assert guess.site == OWN
    assert guess.advice


def test_a_process_without_a_core_is_starved_and_its_lines_are_not_searched():
    starved = loop(OWN, cpu_s=0.2, ready_s=1.0, same=3)

    guess = guess_of(starved, cpu_s=0.2, sockets=[client()])

    assert guess.cause == "E1"
    assert guess.site is None


@pytest.mark.parametrize(("sent_ago_s", "cause"), [(0.5, "E1"), (50.0, "A3")])
def test_an_endless_computation_answers_nobody_and_a_starved_service_does(sent_ago_s, cause):
    greedy = loop(OWN, cpu_s=0.8, ready_s=1.1, call="")

    guess = guess_of(greedy, cpu_s=0.8, sockets=[client(sent_ago_s=sent_ago_s)])

    assert guess.cause == cause
    assert {guess.cause, *guess.or_else} == {"A3", "E1"}


def test_a_quota_starves_too():
    assert guess_of(FREE, throttled_s=1.5).cause == "E1"
    assert guess_of(FREE, throttled_s=0.1).cause == "N0"
    assert guess_of(FREE, throttled_s=None).cause == "N0"


def test_memory_is_blamed_when_it_is_full_and_pages_come_back_from_disk():
    full = {"rss_bytes": 1 << 30, "memory_limit_bytes": 1 << 30}

    assert guess_of(FREE, major_faults=500, **full).cause == "C1"
    assert guess_of(FREE, major_faults=3, **full).cause == "N0"
    assert guess_of(FREE, major_faults=500, rss_bytes=1, memory_limit_bytes=None).cause == "N0"


def test_clients_that_wait_for_a_free_loop_wait_for_the_peer_that_owes_an_answer():
    asked = {"remote_port": 5432, "sent_ago_s": 39.0, "received_ago_s": 60.0}
    answered = {"remote_port": 5432, "sent_ago_s": 39.0, "received_ago_s": 38.9}

    owing = guess_of(FREE, sockets=[client(), connection(**asked)])

    assert (owing.cause, owing.or_else) == ("A2b", ("A2a",))
    assert guess_of(FREE, sockets=[client(), connection(**answered)]).cause == "UNKNOWN"


def test_a_broker_that_says_nothing_owes_nothing_until_it_does_not_acknowledge():
    silent = {"remote_port": 5672, "sent_ago_s": 5.0, "received_ago_s": 60.0}

    assert guess_of(FREE, sockets=[client(), connection(**silent)]).cause == "UNKNOWN"
    frozen = connection(**silent, unsent=4096)
    assert guess_of(FREE, sockets=[client(), frozen]).cause == "F1"
    connecting = connection(remote_port=5672, state="SYN_SENT")
    assert guess_of(FREE, sockets=[client(), connecting]).cause == "F1"


def test_a_first_request_within_one_tick_of_the_clock_is_unanswered_all_the_same():
    at_once = client(sent_ago_s=40.0, received_ago_s=40.0, sent_bytes=1)
    never_asked = client(sent_ago_s=40.0, received_ago_s=40.0, sent_bytes=1, received_bytes=0)

    assert guess_of(FREE, sockets=[at_once]).cause == "UNKNOWN"
    assert guess_of(FREE, sockets=[never_asked]).cause == "N0"


def test_a_request_of_this_very_moment_is_no_hang():
    just_now = client(unread=9, received_ago_s=0.01, sent_ago_s=0.02)

    guess = guess_of(FREE, sockets=[just_now])

    assert guess.cause == "N0"
    assert "answers its clients" in guess.sentence
    assert guess_of(FREE, sockets=[client(unread=9, received_ago_s=9.0)]).cause == "UNKNOWN"


def test_idleness_is_claimed_only_where_the_kernel_told_of_the_clients():
    unknown = client(sent_ago_s=None, received_ago_s=None, sent_bytes=None, received_bytes=None)

    assert guess_of(FREE, sockets=[unknown]).cause == "UNKNOWN"
    assert guess_of(FREE, sockets=[client(sent_ago_s=1.0)]).cause == "N0"


def test_who_is_behind_a_unix_socket_is_not_claimed_to_be_idle():
    assert guess_of(FREE, unix=["/run/app.sock"]).cause == "UNKNOWN"


def test_a_worker_without_a_loop_that_publishes_is_the_brokers():
    assert guess_of(thread(PIKA, OWN, tid=1), listeners=[]).cause == "F1"


def test_connections_that_nobody_accepts_are_no_idleness():
    guess = guess_of(FREE, listeners=[Listener("0.0.0.0", 8000, 129, 128)])

    assert guess.cause == "UNKNOWN"
    assert "129 connections wait to be accepted on port 8000 (room for 128)" in guess.evidence_for


def test_a_thread_in_the_background_that_listens_to_a_broker_is_no_hang():
    consuming = frame(
        SITE + "pika/adapters/blocking_connection.py", "BlockingChannel.start_consuming"
    )
    publishing = thread(PIKA, OWN, call="epoll_wait")

    assert guess_of(FREE, thread(PIKA, consuming, OWN)).cause == "N0"
    assert guess_of(FREE, publishing).cause == "N0"
    assert guess_of(FREE, publishing, sockets=[client()]).cause == "F1"


def test_threads_of_libraries_are_nobodys_hang():
    exporter = thread(WAIT, frame(SITE + "opentelemetry/sdk/trace/export.py", "worker"))

    assert guess_of(FREE, exporter).cause == "N0"


def test_a_supervisor_points_to_its_children():
    joins = thread(frame(LIB + "threading.py", "Thread.join"), OWN, tid=1)
    guess = guess_of(joins, children=[Child(5, "python"), Child(6, "python")], listeners=[])

    assert guess.cause == "N0"
    assert "only looks after 2 others" in guess.sentence


def test_a_thread_of_its_own_that_waits_is_no_proof_of_idleness():
    main = thread(frame(LIB + "threading.py", "Thread.join"), OWN, tid=1)
    waits = thread(OWN, call="")

    guess = guess_of(main, waits, listeners=[])

    assert guess.cause == "UNKNOWN"
    assert guess.sentence.startswith("no guess: ")


def test_nothing_read_is_no_guess_and_says_so():
    guess = guess_of(samples=0)

    assert guess.cause == "UNKNOWN"
    assert guess.sentence == "no guess: no stack could be read"


def test_a_named_cause_brings_the_taxonomys_words_and_its_page():
    guess = guess_of(loop(OWN), sockets=[client()])
    (cause,) = (one for one in CAUSES if one.id == "B1")

    assert guess.title == cause.title
    assert guess.page == "docs/causes/B1.md"
    assert set(cause.advice) <= set(guess.advice)


def test_advice_that_needs_what_only_an_incident_knows_is_left_out():
    guess = guess_of(FREE, *workers(3, PSYCOPG, OWN), sockets=[client()])

    assert not any("{" in line for line in guess.advice)
    assert any("lock_timeout" in line for line in guess.advice)


def test_every_cause_that_a_peer_may_mean_is_in_the_taxonomy():
    assert {one for causes in OF_PEERS.values() for one in causes} <= {one.id for one in CAUSES}


def test_equal_stacks_are_told_as_one():
    from why504.diagnose.hung.scene import alike

    scene = scene_of(FREE, *workers(30, OWN), *workers(4, GROQ, OWN))

    assert [count for count, _ in alike(scene.doings)] == [30, 4, 1]
