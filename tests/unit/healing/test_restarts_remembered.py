"""No restart comes too soon after another, and workers that hang together go together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from why504.probe.healing.restarts import LONGEST_WAIT_S, ROUNDS_PER_HOUR, Restart, Restarts, rounds

S = 10**9
HOUR_S = 3600


@pytest.fixture
def restarts(tmp_path):
    return Restarts(tmp_path / "not made yet", "shop / api", wait_s=120)


def test_the_first_restart_is_not_held_back(restarts):
    assert restarts.held_back_s(started_ns=0, now_ns=70 * S) == 0
    assert restarts.total() == 0


def test_who_hangs_again_waits_twice_as_long_each_time(restarts):
    now_s, waits = 100.0, []
    for _ in range(5):
        restarts.add(Restart(int(now_s * S), int((now_s - 60) * S), "blocked"))
        waits.append(restarts.held_back_s(int(now_s * S) + 1, int(now_s * S) + 1))
        now_s += waits[-1] + 1

    assert waits == pytest.approx([120, 240, 480, 960, LONGEST_WAIT_S])
    assert restarts.total() == 5


def test_workers_that_were_there_before_are_not_held_back_by_each_other(restarts):
    for number in range(4):
        assert restarts.held_back_s(5 * S, (100 + number) * S) == 0
        restarts.add(Restart((100 + number) * S, 5 * S, "blocked"))

    assert restarts.held_back_s(104 * S, 105 * S) == pytest.approx(120 - 2)


def test_an_hour_later_it_is_the_first_again(restarts):
    restarts.add(Restart(100 * S, 0, "blocked"))

    assert restarts.held_back_s(200 * S, 101 * S + HOUR_S * S) == 0


def test_a_file_that_is_spoilt_allows_nothing(restarts, tmp_path):
    restarts.add(Restart(100 * S, 0, "blocked"))
    (file,) = (tmp_path / "not made yet").glob("*.json")
    file.write_text('{"total": "?"')

    with pytest.raises(OSError, match="spoilt"):
        restarts.held_back_s(0, 200 * S)


def test_a_folder_that_refuses_allows_nothing():
    with pytest.raises(OSError):
        Restarts(pytest.importorskip("pathlib").Path("/proc/no"), "shop", 120).add(
            Restart(1, 0, "blocked")
        )


@given(st.lists(st.tuples(st.integers(1, 20_000), st.integers(0, 600)), max_size=60))
def test_in_no_hour_are_there_more_rounds_than_allowed(tmp_path_factory, tries):
    """Whoever tries whenever: one worker after the other, each begun after the one before."""
    restarts = Restarts(tmp_path_factory.mktemp("any"), "shop", wait_s=2)
    now_s, started_s, done = 0.0, 0.0, []
    for pause_s, _ in tries:
        now_s += pause_s / 10
        if not restarts.held_back_s(int(started_s * S), int(now_s * S)):
            restarts.add(Restart(int(now_s * S), int(started_s * S), "blocked"))
            done.append(now_s)
            started_s = now_s + 0.001

    for begin_s in done:
        assert sum(begin_s <= at_s < begin_s + HOUR_S for at_s in done) <= ROUNDS_PER_HOUR + 1


def test_rounds_are_counted_by_who_was_there_already():
    told = [Restart(10, 0, ""), Restart(11, 0, ""), Restart(20, 12, ""), Restart(21, 5, "")]

    assert rounds(told) == [1, 1, 2, 1]
