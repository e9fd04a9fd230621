"""Vitals: intervals without a gap, short ones in trouble, from both kinds of control group."""

from __future__ import annotations

import gc
import itertools
import multiprocessing
import os
import time

import pytest

from why504 import names
from why504.probe.exposed.metrics import Metrics
from why504.probe.inflight import OpenSpan, Registry
from why504.probe.loop.garbage import Collections
from why504.probe.loop.stall import Watchdog
from why504.probe.process.vitals import Kernel, VitalsWatch
from why504.probe.telling.openrecord import RecordBook
from why504.testing import CollectedRecords, FakeClock, SequentialIds


class Rig:
    def __init__(self, kernel: Kernel) -> None:
        self.clock = FakeClock()
        self.kept = CollectedRecords()
        book = RecordBook(self.clock, SequentialIds(), self.kept)
        self.registry = Registry(self.clock, 10)
        self.collections = collections = Collections()
        watchdog = Watchdog(
            self.registry, book, Metrics(), collections, clock=self.clock, stall_after_s=0.1
        )
        self.watch = VitalsWatch(book, self.registry, watchdog, collections, kernel=kernel)

    def pass_time(self, seconds: int, *, cpu_share: float = 0.0) -> None:
        for _ in range(seconds):
            self.clock.advance(1, cpu_s=cpu_share)
            self.watch.look()

    def hang(self) -> None:
        entry = OpenSpan(1, 2)
        entry.scope = {"type": "http"}
        self.registry.open(entry)

    @property
    def told(self):
        return self.kept.of_kind(names.VITALS)


@pytest.fixture
def rig(tmp_path):
    return Rig(Kernel(tmp_path, tmp_path))


def test_nothing_noteworthy_is_told_twice_a_minute(rig):
    rig.pass_time(90, cpu_share=0.2)

    assert len(rig.told) == 3
    assert [r.attributes[names.CPU_USED_S] for r in rig.told] == pytest.approx([6, 6, 6])


def test_while_a_request_hangs_two_seconds_are_an_interval_and_none_is_missing(rig):
    rig.pass_time(10)
    rig.hang()
    rig.pass_time(9)

    assert len(rig.told) >= 4
    for earlier, later in itertools.pairwise(rig.told):
        assert later.start_ns == earlier.end_ns
    assert rig.told[-1].end_ns - rig.told[-1].start_ns == 2_000_000_000


def test_what_hangs_for_long_is_told_in_longer_pieces_until_something_else_begins_to(rig):
    rig.hang()
    rig.pass_time(1800)
    in_half_an_hour = len(rig.told)
    lasted_s = [(one.end_ns - one.start_ns) / 1e9 for one in rig.told]
    rig.registry.open(other := OpenSpan(3, 4))
    other.scope = {"type": "http"}
    rig.pass_time(4)

    assert in_half_an_hour < 90
    assert lasted_s[0] <= 2
    assert lasted_s[1:] == sorted(lasted_s[1:])
    assert lasted_s[-1] == 30
    assert (rig.told[-1].end_ns - rig.told[-1].start_ns) / 1e9 == 2
    for earlier, later in itertools.pairwise(rig.told):
        assert later.start_ns == earlier.end_ns


def test_trouble_is_not_mixed_with_the_quiet_time_before_it(rig):
    rig.pass_time(10)
    for _ in range(2):
        rig.collections.seconds += 0.9
        rig.pass_time(1)

    quiet, troubled = rig.told
    assert (quiet.attributes[names.GC_CPU_S], troubled.attributes[names.GC_CPU_S]) == (0, 1.8)
    assert troubled.start_ns == quiet.end_ns
    assert (troubled.end_ns - troubled.start_ns) / 1e9 == 2


def test_seconds_in_collections_are_counted():
    collections = Collections()
    heap = [[n] for n in range(200_000)]
    collections.attach()
    try:
        begun_s = time.thread_time()
        gc.collect()
        took_s = time.thread_time() - begun_s
    finally:
        collections.detach()

    assert len(heap) == 200_000
    assert 0.5 * took_s < collections.seconds < 1.5 * took_s
    counted_s = collections.seconds
    gc.collect()
    assert collections.seconds == counted_s


def write(folder, text_by_path) -> None:
    for path, text in text_by_path.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def test_a_control_group_of_version_2_is_read(tmp_path):
    write(tmp_path, {
        "proc/self/cgroup": "0::/app.slice/svc\n",
        "cg/app.slice/svc/cpu.stat": "usage_usec 5\nnr_throttled 3\nthrottled_usec 2500000\n",
        "cg/app.slice/svc/cpu.max": "150000 100000\n",
        "cg/app.slice/svc/memory.max": "1048576\n",
    })  # fmt: skip
    kernel = Kernel(tmp_path / "proc", tmp_path / "cg")

    assert (kernel.throttled_s(), kernel.cpu_limit()) == (2.5, 1.5)
    assert kernel.memory_limit_bytes() == 1 << 20


def test_a_control_group_of_version_1_is_read_where_the_container_mounts_it(tmp_path):
    write(tmp_path, {
        "proc/self/cgroup": "4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n0::/\n",
        "cg/cpu,cpuacct/cpu.stat": "nr_periods 9\nnr_throttled 3\nthrottled_time 1500000000\n",
        "cg/cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
        "cg/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        "cg/memory/memory.limit_in_bytes": "2097152\n",
    })  # fmt: skip
    kernel = Kernel(tmp_path / "proc", tmp_path / "cg")

    assert (kernel.throttled_s(), kernel.cpu_limit()) == (1.5, 0.5)
    assert kernel.memory_limit_bytes() == 2 << 20


def test_without_proc_nothing_is_known_and_nothing_fails(tmp_path):
    kernel = Kernel(tmp_path, tmp_path)

    assert (kernel.delay_s(), kernel.throttled_s(), kernel.rss_bytes()) == (0, 0, 0)
    assert kernel.cpu_limit() is None


def delayed_threads(folder, delays_s) -> None:
    files = {
        f"proc/self/task/{thread}/schedstat": f"1000 {round(delay_s * 1e9)} 7\n"
        for thread, delay_s in enumerate(delays_s)
    }
    write(folder, files)


def test_many_threads_that_wait_a_little_each_don_t_add_up(tmp_path):
    kernel = Kernel(tmp_path / "proc", tmp_path)

    def told(delays_s):
        delayed_threads(tmp_path, delays_s)
        return kernel.delay_s()

    before_s = told([1.0] * 40)

    assert told([1.05] * 40) - before_s == pytest.approx(0.05)
    assert told([2.05, *[1.05] * 39]) - before_s == pytest.approx(1.05)


@pytest.mark.parametrize(("late_s", "lacked_s"), [(0.0, 0.8), (1.5, 1.5), (9.0, 2.4)])
def test_threads_that_lack_a_core_in_turn_add_up_to_how_late_the_look_is(
    tmp_path, late_s, lacked_s
):
    kernel = Kernel(tmp_path / "proc", tmp_path)
    delayed_threads(tmp_path, [1.0, 1.0, 1.0])
    before_s = kernel.delay_s()

    delayed_threads(tmp_path, [1.8, 1.8, 1.8])

    assert kernel.delay_s(late_s) - before_s == pytest.approx(lacked_s)


def spin(core: int, seconds: float) -> None:
    os.sched_setaffinity(0, {core})
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        pass


def delayed(core: int, told) -> None:
    kernel = Kernel()
    before_s = kernel.delay_s()
    spin(core, 1.0)
    told.put(kernel.delay_s() - before_s)


def test_time_without_a_core_is_told_by_the_kernel():
    core = min(os.sched_getaffinity(0))
    if not os.path.exists("/proc/self/schedstat"):
        pytest.skip("this kernel has no /proc/self/schedstat")
    fresh = multiprocessing.get_context("spawn")
    told = fresh.Queue()
    rivals = [fresh.Process(target=spin, args=(core, 8.0)) for _ in range(3)]
    starved = fresh.Process(target=delayed, args=(core, told))
    for process in (*rivals, starved):
        process.start()
    try:
        assert told.get(timeout=30) > 0.3
    finally:
        for process in (*rivals, starved):
            process.kill()
            process.join()


class Sleeper:
    """Part of a ring, so that only the collector frees it; sleeps while it is freed."""

    def __init__(self):
        self.ring = self

    def __del__(self):
        time.sleep(0.3)


def test_a_long_collection_without_a_core_is_not_a_busy_one():
    collections = Collections()
    collections.attach()
    try:
        Sleeper()
        began_s = time.perf_counter()
        gc.collect()
        took_s = time.perf_counter() - began_s
    finally:
        collections.detach()

    assert took_s >= 0.3
    # The heap of a long test run takes its own time to look through: only the sleep is not counted.
    assert took_s - collections.seconds >= 0.28
