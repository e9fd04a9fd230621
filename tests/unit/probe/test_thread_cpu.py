"""What Linux tells of the CPU time of single threads."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from why504 import names
from why504.probe.process.threadcpu import Reading, read

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of each thread")


def test_a_thread_that_computes_is_told_from_one_that_waits():
    enough = threading.Event()

    def compute() -> None:
        while not enough.is_set():
            sum(range(1000))

    threads = [threading.Thread(target=compute), threading.Thread(target=enough.wait)]
    for thread in threads:
        thread.start()
    before = [read(thread.ident, time.monotonic()) for thread in threads]
    time.sleep(0.5)
    after = [read(thread.ident, time.monotonic()) for thread in threads]
    enough.set()
    for thread in threads:
        thread.join()
    computing, waiting = (b.shares_since(a) for a, b in zip(before, after, strict=True))

    assert computing[names.THREAD_WANTED_SHARE] >= computing[names.THREAD_CPU_SHARE] > 0.05
    assert waiting[names.THREAD_CPU_SHARE] <= waiting[names.THREAD_WANTED_SHARE] < 0.03


def test_a_thread_that_has_ended_tells_nothing():
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()

    assert read(thread.ident, 1.0) is None


def test_a_thread_without_a_core_wants_one():
    told = Reading(7, 5.0, 1.0, 3.0).shares_since(Reading(7, 1.0, 0.0, 0.0))

    assert told == {names.THREAD_CPU_SHARE: 0.25, names.THREAD_WANTED_SHARE: 1.0}


def test_two_looks_at_the_same_moment_tell_nothing():
    reading = Reading(7, 3.0, 1.0, 0.0)

    assert reading.shares_since(reading) == {}
