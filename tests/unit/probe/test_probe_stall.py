"""The watchdog's judgement, on a loop that turns only when the test says so."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator

import pytest

from why504 import names
from why504.probe.exposed.metrics import Metrics
from why504.probe.inflight import OpenSpan, Registry
from why504.probe.loop.garbage import Collections
from why504.probe.loop.loopwatch import LoopWatch
from why504.probe.loop.stall import Watchdog
from why504.probe.telling.openrecord import RecordBook
from why504.testing import CollectedRecords, FakeClock, SequentialIds


class Rig:
    """A watchdog whose loop is the one that the test runs in: it never turns meanwhile."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.kept = CollectedRecords()
        self.book = RecordBook(self.clock, SequentialIds(), self.kept)
        self.metrics = Metrics()
        self.collections = Collections()
        self.registry = Registry(self.clock, 10)
        self.watchdog = Watchdog(
            self.registry,
            self.book,
            self.metrics,
            self.collections,
            clock=self.clock,
            stall_after_s=0.1,
        )

    def watch(self) -> LoopWatch:
        self.watchdog.watch(asyncio.get_running_loop())
        (watch,) = self.watchdog.loops.values()
        watch.stopping = True
        return watch

    def pass_time(self, seconds: float, *, cpu_share: float = 0.0) -> None:
        for _ in range(round(seconds / 0.05)):
            self.clock.advance(0.05, cpu_s=0.05 * cpu_share)
            self.watchdog.look()


@pytest.fixture
def rig() -> Iterator[Rig]:
    return Rig()


async def test_a_loop_that_turns_is_never_a_stall(rig):
    watch = rig.watch()
    for _ in range(100):
        rig.pass_time(0.1)
        watch.beat()

    assert (rig.kept.sent, rig.watchdog.stalls) == ([], 0)


async def test_a_loop_is_looked_at_more_often_while_something_is_in_flight(rig):
    watch = rig.watch()
    idle_s = watch.due_s
    rig.registry.open(OpenSpan(1, 2))
    watch.beat()

    assert (watch.due_s, rig.watchdog.pause_s()) == (0.1, 0.1)
    assert idle_s == 0.2
    rig.clock.advance(61)
    assert rig.watchdog.pause_s() == 0.2
    rig.registry.open(OpenSpan(3, 4))
    assert rig.watchdog.pause_s() == 0.1


async def test_a_stall_runs_from_the_last_turn_to_the_next(rig):
    watch = rig.watch()
    rig.pass_time(3.0)
    assert rig.watchdog.age_s(watch) == pytest.approx(3.0)
    watch.beat()
    rig.pass_time(0.05)

    (final,) = rig.kept.sent
    assert (final.end_ns - final.start_ns) / 1e9 == pytest.approx(3.05)
    assert final.attributes[names.OUTCOME] == "ended"
    assert final.attributes[names.STALL_PROGRESSING] is False
    assert final.attributes[names.CODE_FILE].endswith("test_probe_stall.py")
    assert rig.watchdog.age_s(watch) == 0.0


async def test_a_stall_tells_how_much_of_it_collected_garbage(rig):
    watch = rig.watch()
    rig.collections.seconds = 5.0
    rig.pass_time(1.0, cpu_share=1.0)
    rig.collections.seconds = 5.6
    rig.pass_time(0.2, cpu_share=1.0)
    watch.beat()
    rig.pass_time(0.1)

    assert rig.kept.sent[-1].attributes[names.GC_CPU_S] == pytest.approx(0.6)


async def test_a_short_stall_is_counted_but_not_written(rig):
    watch = rig.watch()
    rig.clock.advance(watch.due_s + 0.12)
    rig.watchdog.look()
    watch.beat()
    rig.watchdog.look()

    assert (rig.kept.sent, rig.watchdog.stalls) == ([], 1)


async def test_a_ten_hour_stall_takes_few_samples(rig):
    watch = rig.watch()
    rig.pass_time(36_00.0)

    stall = watch.stall
    assert stall is not None
    assert 300 < stall.samples < 400


async def test_cpu_time_tells_computing_from_waiting(rig):
    watch = rig.watch()
    rig.pass_time(2.0, cpu_share=1.0)
    watch.beat()
    rig.pass_time(0.05)

    (final,) = rig.kept.sent
    assert final.attributes[names.STALL_CPU_S] == pytest.approx(2.0)


async def test_a_process_that_was_stopped_did_not_stall(rig):
    rig.watch()
    rig.pass_time(0.1)
    rig.clock.advance(3600.0)
    rig.watchdog.look()

    assert (rig.kept.sent, rig.watchdog.stalls) == ([], 0)


async def test_c_code_that_kept_the_watchdog_from_looking_is_a_stall(rig):
    watch = rig.watch()
    rig.pass_time(0.1)
    rig.clock.advance(5.0, cpu_s=4.9)
    rig.watchdog.look()
    watch.beat()
    rig.pass_time(0.05)

    (final,) = rig.kept.sent
    assert (final.end_ns - final.start_ns) / 1e9 > 5.0


def test_a_loop_that_is_not_running_does_not_stall(rig):
    async def once() -> None:
        rig.watch()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(once())
    rig.pass_time(5.0)
    assert rig.watchdog.stalls == 0
    loop.close()
    rig.pass_time(0.1)

    assert rig.watchdog.loops == {}


def run_loop(rig: Rig, watch: LoopWatch, seconds: float, taken_s: float, free_s: float) -> None:
    """The loop is taken and free in turns, a millisecond at a time; looked at each 100 ms."""
    lengths = random.Random(504)
    left_ms, taken = 0, False
    for millisecond in range(round(seconds * 1000)):
        if left_ms == 0:
            taken = not taken
            left_ms = 1 + int(1000 * (taken_s if taken else free_s) * lengths.uniform(0.5, 1.5))
        left_ms -= 1
        rig.clock.advance(0.001, cpu_s=0.001 * taken)
        if not taken and rig.clock.monotonic_s() >= watch.beat_s + watch.due_s:
            watch.beat()
        if millisecond % 100 == 99:
            rig.watchdog.look()


async def test_many_short_stalls_are_told_as_one_with_their_line_and_share(rig):
    watch = rig.watch()
    run_loop(rig, watch, 10, taken_s=0.06, free_s=0.01)

    (slow,) = rig.book.of_kind(names.STALL)
    assert slow.attributes[names.STALL_SHARE] > 0.7
    assert "test_probe_stall.py" in slow.attributes[names.CODE_FILE]
    assert slow.attributes[names.STALL_CPU_S] / slow.lasted_s(rig.clock.monotonic_s()) > 0.7
    assert rig.kept.of_kind(names.STALL) == [], "no single one was long"

    run_loop(rig, watch, 7, taken_s=0.002, free_s=0.1)
    (told,) = rig.kept.of_kind(names.STALL)
    assert told.attributes[names.OUTCOME] == "ended"
    assert rig.book.of_kind(names.STALL) == []


async def test_a_loop_that_is_taken_a_third_of_the_time_is_not_slow(rig):
    watch = rig.watch()
    run_loop(rig, watch, 20, taken_s=0.04, free_s=0.1)

    assert (rig.kept.sent, rig.book.of_kind(names.STALL)) == ([], [])
    assert 0.05 < watch.late_share < 0.5
