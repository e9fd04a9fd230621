"""Several samples as one picture: what stayed, what moved, and whose line it is."""

import pytest
from looks import LIB, OWN, SITE, TURN, frame

from why504.diagnose.hung.fold import Sampled, threads_of
from why504.diagnose.hung.snapshot import Frame
from why504.diagnose.hung.stacks import is_own, line_of, place


def samples(*stacks):
    return [{1: Sampled("MainThread", tuple(stack))} for stack in stacks]


def test_a_stack_that_never_moves_is_stuck_at_its_innermost_own_line():
    stack = (frame(SITE + "x/y.py", "get"), OWN, TURN)

    (thread,) = threads_of(samples(*[stack] * 10))

    assert thread.stuck
    assert (thread.site, thread.at_site) == (OWN, 10)


def test_a_computation_that_calls_helpers_stays_in_their_caller():
    helpers = [frame("app/score.py", f"rule_{n}") for n in range(10)]

    (thread,) = threads_of(samples(*((helper, OWN, TURN) for helper in helpers)))

    assert not thread.stuck
    assert (thread.site, thread.at_site) == (OWN, 10)


def test_a_line_that_moves_within_its_function_counts_as_there_but_not_at_the_line():
    lines = [OWN._replace(line=n % 3) for n in range(9)]

    (thread,) = threads_of(samples(*((line, TURN) for line in lines)))

    assert thread.site.function == OWN.function
    assert thread.at_site == 3


def test_what_half_of_the_samples_have_is_not_where_a_thread_is():
    elsewhere = [frame(f"app/view_{n}.py", "get") for n in range(5)]

    (thread,) = threads_of(samples(*[(OWN, TURN)] * 5, *((one, TURN) for one in elsewhere)))

    assert thread.site is None


def test_who_starts_the_loop_is_no_place_that_the_loop_is_at():
    (thread,) = threads_of(samples(*[(TURN, frame("app/main.py", "<module>"))] * 3))

    assert thread.site is None


def test_a_thread_that_came_late_is_told_with_the_samples_that_have_it():
    late = {1: Sampled("a", (OWN,)), 2: Sampled("b", (OWN,), has_gil=True)}

    threads = threads_of([{1: Sampled("a", (OWN,))}, late])

    assert [(one.tid, one.samples, one.has_gil) for one in threads] == [(1, 2, 0), (2, 1, 1)]


def test_no_sample_is_no_thread():
    assert threads_of([]) == []


@pytest.mark.parametrize(
    ("file", "own"),
    [
        ("app/main.py", True),
        ("/srv/shop/orders.py", True),
        ("/app/.venv/lib/python3.12/site-packages/httpx/_client.py", False),
        ("/usr/lib/python3/dist-packages/gunicorn/app.py", False),
        ("/usr/lib/python3.11/threading.py", False),
        ("/opt/python/lib/python3.13t/ssl.py", False),
        ("/app/.venv/bin/uvicorn", False),
        ("<frozen runpy>", False),
        ("<string>", False),
        ("", False),
        ("C:\\app\\.venv\\lib\\site-packages\\x.py", False),
    ],
)
def test_own_code_is_what_is_neither_installed_nor_generated(file, own):
    assert is_own(Frame(file, 1, "f")) is own


def test_an_application_that_is_installed_is_shown_at_its_librarys_line():
    installed = frame(SITE + "shop/orders.py", "pay")

    assert line_of((frame(LIB + "ssl.py", "read"), installed)) == installed
    assert line_of(()) is None


def test_libraries_are_shown_below_where_they_are_installed():
    assert place(frame(SITE + "httpx/_client.py", "get", 7)) == "httpx/_client.py:7"
    assert place(frame(LIB + "asyncio/events.py", "run", 7)) == "asyncio/events.py:7"
    assert place(OWN) == "app/orders.py:12"
