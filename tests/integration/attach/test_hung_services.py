"""`why504 attach` on real services that hang, each in its own way."""

import signal
import time

import pytest
from hung_processes import guessed, line_of

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


@LOOPS
def test_a_sleep_on_the_event_loop_is_a_blocking_call_at_its_line(service, loop):
    app = service(loop)
    app.ask("sleeps")

    guess, scene = guessed(app.process.pid)

    assert guess.cause == "B1"
    assert f"{guess.site.file}:{guess.site.line}" == line_of("app.py", "sleeps")
    assert scene.doings[0].words == "sleeps"
    assert scene.doings[0].thread.stuck


@LOOPS
def test_a_database_that_never_answers_blocks_the_loop_and_is_named(service, silent_peer, loop):
    app = service(loop)
    app.ask(f"asks_database?port={silent_peer}")

    guess, scene = guessed(app.process.pid)

    assert guess.cause == "B1"
    assert f"{guess.site.file}:{guess.site.line}" == line_of("app.py", "database")
    assert scene.doings[0].peer == "db"
    assert f"127.0.0.1:{silent_peer}" in guess.sentence


def test_a_broker_that_never_answers_is_the_broker_and_no_blocking_call(service, silent_peer):
    app = service()
    app.ask(f"publishes?port={silent_peer}")

    guess, _ = guessed(app.process.pid)

    assert guess.cause == "F1"
    assert f"{guess.site.file}:{guess.site.line}" == line_of("app.py", "broker")
    assert guess.page == "docs/causes/F1.md"


@LOOPS
def test_a_loop_that_computes_is_cpu_bound_where_its_caller_stays(service, loop):
    app = service(loop)
    app.ask("computes")

    guess, _ = guessed(app.process.pid)

    assert guess.cause == "A3"
    assert guess.site.function in ("computes", "score")
    assert guess.site.file == "app.py"


def test_forty_blocked_endpoints_are_a_full_thread_pool(service):
    app = service()
    app.ask("works", times=40)

    guess, scene = guessed(app.process.pid)

    assert guess.cause == "C2"
    assert f"{guess.site.file}:{guess.site.line}" == line_of("app.py", "works")
    assert scene.doings[0].kind == "free"
    assert len(scene.unanswered) == 40


def test_threads_that_wait_for_a_leaked_connection_are_a_pool(service):
    app = service()
    app.ask("takes_connection", times=5)

    guess, _ = guessed(app.process.pid)

    assert (guess.cause, guess.or_else) == ("A1a", ("A1c",))
    assert f"{guess.site.file}:{guess.site.line}" == line_of("app.py", "pool")
    assert guess.sentence.startswith("4 threads wait for a connection of a pool")


def test_c_code_that_keeps_the_interpreter_is_told_from_a_plain_wait(service):
    app = service()
    app.ask("keeps_gil")

    guess, _ = guessed(app.process.pid)

    assert guess.cause == "B1"
    assert "keeps the interpreter's lock" in guess.sentence
    assert f"{guess.site.file}:{guess.site.line}" == line_of("app.py", "gil")


@LOOPS
def test_a_service_that_waits_for_requests_is_not_what_hangs(service, loop):
    app = service(loop)
    app.ask("fine", times=3, answered=True)

    guess, _ = guessed(app.process.pid)

    assert guess.cause == "N0"
    assert "not what hangs" in guess.sentence


def test_requests_inside_coroutines_are_seen_by_their_clients_and_not_guessed_at(service):
    app = service()
    app.ask("awaits", times=4)
    time.sleep(1.5)  # a second without an answer is what counts as waiting

    guess, scene = guessed(app.process.pid)

    assert guess.cause == "UNKNOWN"
    assert guess.sentence.startswith("no guess: 4 clients wait for an answer")
    assert scene.loops[0].kind == "free"
    assert any("asyncio tasks can't be seen" in one for one in scene.look.unseen)


def test_who_is_stopped_is_said_to_be_stopped_and_stays_so(service):
    app = service()
    app.process.send_signal(signal.SIGSTOP)

    guess, scene = guessed(app.process.pid)

    assert guess.title == "Stopped"
    assert scene.look.facts.state == "T"
    with open(f"/proc/{app.process.pid}/stat") as stat:
        assert ") T " in stat.read()


def test_a_deadlock_names_both_lines(start):
    program = start("deadlock.py")
    assert program.stdout.readline() == "inside\n"

    guess, _ = guessed(program.pid)

    assert guess.cause == "UNKNOWN"
    assert "a deadlock" in guess.sentence
    assert line_of("deadlock.py", "pays") in guess.sentence
    assert line_of("deadlock.py", "refunds") in guess.sentence


def test_looking_does_not_change_what_the_process_does(service):
    app = service()
    app.ask("sleeps")

    def of_the_kernel():
        with open(f"/proc/{app.process.pid}/status") as status:
            return [line for line in status if "ctxt_switches" in line or "TracerPid" in line]

    time.sleep(1)  # until it is asleep
    before = of_the_kernel()
    guessed(app.process.pid)

    assert of_the_kernel() == before
