"""What was read is kept, and read again behind the back of whoever looks."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from dashboards import freshness
from dashboards.freshness import Refreshed

WAIT_S = 20


class Clock:
    """A clock that moves by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(freshness, "time", clock)
    return clock


class Source:
    """Counts how often it was read; can be held up, and can fail."""

    def __init__(self) -> None:
        self.reads = 0
        self.fails = False
        self.go_on = threading.Event()
        self.go_on.set()
        self.done = threading.Semaphore(0)

    def __call__(self) -> int:
        assert self.go_on.wait(WAIT_S)
        try:
            self.reads += 1
            if self.fails:
                raise OSError("gone")
            return self.reads
        finally:
            self.done.release()


def until(true: Callable[[], bool]) -> None:
    for _ in range(2000):
        if true():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never came true")


def test_what_is_fresh_is_not_read_again(clock: Clock):
    source = Source()
    kept = Refreshed(source, fresh_s=10)

    assert [kept.get(), kept.get()] == [1, 1]
    clock.now_s += 9
    assert (kept.get(), source.reads) == (1, 1)


def test_what_is_old_is_shown_at_once_and_read_again_meanwhile(clock: Clock):
    source = Source()
    kept = Refreshed(source, fresh_s=10)
    kept.get()
    clock.now_s += 11
    source.go_on.clear()

    assert [kept.get(), kept.get()] == [1, 1]
    source.go_on.set()

    until(lambda: kept.get() == 2)
    assert source.reads == 2


def test_what_is_very_old_is_waited_for(clock: Clock):
    kept = Refreshed(Source(), fresh_s=10)
    kept.get()
    clock.now_s += 3600

    assert kept.get() == 2


def test_a_failure_behind_the_back_is_told_to_whoever_waits_next(clock: Clock):
    source = Source()
    kept = Refreshed(source, fresh_s=10)
    kept.get()
    source.fails = True
    clock.now_s += 11
    assert kept.get() == 1
    until(lambda: source.reads >= 2)

    clock.now_s += 3600
    with pytest.raises(OSError, match="gone"):
        kept.get()
    source.fails = False
    assert kept.get() == source.reads


def test_many_who_come_at_once_are_served_by_one_reading(clock: Clock):
    source = Source()
    source.go_on.clear()
    kept = Refreshed(source, fresh_s=10)
    got: list[int] = []
    visitors = [threading.Thread(target=lambda: got.append(kept.get())) for _ in range(8)]
    for visitor in visitors:
        visitor.start()
    source.go_on.set()
    for visitor in visitors:
        visitor.join(WAIT_S)

    assert (got, source.reads) == ([1] * 8, 1)


def test_what_has_not_changed_is_not_read_again_however_old_it_is(clock: Clock):
    source, version = Source(), ["a"]
    kept = Refreshed(source, version=lambda: version[0], fresh_s=10)
    kept.get()

    clock.now_s += 100_000
    assert (kept.get(), source.reads) == (1, 1)

    version[0] = "b"
    clock.now_s += 100_000
    assert (kept.get(), source.reads) == (2, 2)


def test_what_comes_in_during_a_reading_is_read_the_next_time(clock: Clock):
    version = [0]

    def read() -> int:
        version[0] += 1
        return version[0]

    kept = Refreshed(read, version=lambda: version[0], fresh_s=10)

    assert kept.get() == 1
    clock.now_s += 1000
    assert kept.get() == 2


def test_a_source_that_cant_tell_its_version_is_read_again(clock: Clock):
    source = Source()
    kept = Refreshed(source, version=lambda: None, fresh_s=10)
    kept.get()

    clock.now_s += 1000

    assert kept.get() == 2
