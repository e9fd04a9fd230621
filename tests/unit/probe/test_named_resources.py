"""Locks that the user names: they work as before, and tell who waits, who has them, and where."""

from __future__ import annotations

import asyncio
import gc
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import nullcontext

import anyio
import anyio.to_thread
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import why504
from why504 import names
from why504.errors import ConfigError
from why504.probe.clock import Clock
from why504.probe.inflight import Registry
from why504.probe.locks import named
from why504.probe.locks.named import LISTENING, Resource
from why504.probe.locks.namedwatch import UNTOLD_LIMIT, NamedWatch
from why504.probe.safety import RAISE, Guard
from why504.probe.telling.openrecord import RecordBook
from why504.probe.telling.records import RecordSpan
from why504.testing import CollectedRecords, SequentialIds

HOLD_AFTER_S = 0.05
MAKERS = {
    "threading.Lock": threading.Lock,
    "threading.RLock": threading.RLock,
    "threading.Semaphore": threading.Semaphore,
    "threading.BoundedSemaphore": threading.BoundedSemaphore,
    "asyncio.Lock": asyncio.Lock,
    "asyncio.Semaphore": asyncio.Semaphore,
    "asyncio.BoundedSemaphore": asyncio.BoundedSemaphore,
    "anyio.Lock": anyio.Lock,
    "anyio.Semaphore": lambda: anyio.Semaphore(1),
    "anyio.CapacityLimiter": lambda: anyio.CapacityLimiter(1),
}
SYNC = [name for name in MAKERS if name.startswith("threading")]
ASYNC = [name for name in MAKERS if name not in SYNC]


class Probe:
    """A watch that listens, and what it has told."""

    def __init__(self) -> None:
        self.told = CollectedRecords()
        self.guard = Guard()
        clock = Clock()
        self.book = RecordBook(clock, SequentialIds(), self.told)
        self.watch = NamedWatch(
            self.book, Registry(clock, 100), self.guard, hold_after_s=HOLD_AFTER_S
        )
        self.watch.attach()

    def records(self, kind: str) -> list[RecordSpan]:
        self.watch.tell()
        return self.told.of_kind(kind)

    def open(self, kind: str) -> list[str]:
        self.watch.tell()
        return [record.resource for record in self.book.of_kind(kind)]


@pytest.fixture
def probe(monkeypatch) -> Iterator[Probe]:
    # Locks of other tests may be garbage by now, or may not.
    monkeypatch.setattr(named, "_known", weakref.WeakValueDictionary())
    assert LISTENING.listener is None
    probe = Probe()
    yield probe
    probe.watch.detach()
    assert LISTENING.listener is None


def outcomes(records: list[RecordSpan]) -> list[object]:
    return [record.attributes[names.OUTCOME] for record in records]


def eventually(fact) -> None:
    deadline = time.monotonic() + 5
    while not fact():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.005)


# --- what people write ----------------------------------------------------------------------------


@pytest.mark.parametrize("listens", [True, False])
@pytest.mark.parametrize("kind", SYNC)
def test_a_named_lock_of_threading_works_as_it_did(kind, listens, request):
    if listens:
        request.getfixturevalue("probe")
    lock = why504.resource("model", MAKERS[kind]())

    with lock:
        taken_elsewhere = []
        thread = threading.Thread(target=lambda: taken_elsewhere.append(lock.acquire(False)))
        thread.start()
        thread.join()
        assert taken_elsewhere == [False]
    assert lock.acquire()
    lock.release()
    assert lock.acquire(timeout=1)
    lock.release()
    assert lock.acquire(blocking=False)
    lock.release()
    if "Bounded" in kind:
        with pytest.raises(ValueError, match="released too many times"):
            lock.release()
    elif "Lock" in kind:
        with pytest.raises(RuntimeError):
            lock.release()


@pytest.mark.parametrize("listens", [True, False])
@pytest.mark.parametrize("kind", ASYNC)
async def test_a_named_lock_of_asyncio_or_anyio_works_as_it_did(kind, listens, request):
    if listens:
        request.getfixturevalue("probe")
    lock = why504.resource("model", MAKERS[kind]())
    order = []

    async def take(who: str) -> None:
        async with lock:
            order.append(who)
            await asyncio.sleep(0.005)

    await asyncio.gather(*(take(who) for who in "abc"))
    await lock.acquire()
    lock.release()

    assert order == ["a", "b", "c"]
    if kind not in ("asyncio.Semaphore", "anyio.Semaphore"):
        with pytest.raises((RuntimeError, ValueError)):
            lock.release()


@pytest.mark.parametrize("kind", MAKERS)
async def test_a_named_lock_is_one_of_its_kind(kind):
    raw = MAKERS[kind]()
    lock = why504.resource("model", raw)

    assert isinstance(lock, type(raw))
    with pytest.raises(ConfigError):
        why504.resource("twice", lock)
    if kind in ASYNC:
        async with raw as given:
            pass
        async with lock as named_given:
            pass
        assert (given is raw) == (named_given is lock)


@pytest.mark.parametrize("listens", [True, False])
@pytest.mark.parametrize(
    "asked",
    [
        (False, 1),
        (True, -1),
        (True, -2),
        (True, None),
        (True, 1e300),
        ("x",),
        (1,),
        (0,),
        (True, "x"),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", SYNC)
def test_odd_ways_to_take_a_lock_end_as_the_lock_has_it(kind, asked, listens, request):
    def outcome(lock: threading.Lock) -> tuple[object, bool]:
        try:
            got: object = lock.acquire(*asked)
        except (TypeError, ValueError, OverflowError) as error:
            got = str(error)
        is_free = []
        thread = threading.Thread(target=lambda: is_free.append(lock.acquire(False)))
        thread.start()
        thread.join()
        return got, is_free[0]

    if listens:
        request.getfixturevalue("probe")

    assert outcome(why504.resource("model", MAKERS[kind]())) == outcome(MAKERS[kind]())


async def test_what_else_a_lock_can_do_is_passed_on(probe):
    lock = why504.resource("model", asyncio.Lock())
    limiter = why504.resource("gpu", anyio.CapacityLimiter(1))

    async with lock:
        assert lock.locked()
    assert not lock.locked()
    limiter.total_tokens = 3
    limiter.acquire_nowait()
    limiter.acquire_on_behalf_of_nowait("job")
    assert limiter.borrowed_tokens == 2
    assert probe.open(names.HOLD) == []
    limiter.release()
    limiter.release_on_behalf_of("job")

    assert limiter.available_tokens == 3
    assert await anyio.to_thread.run_sync(lambda: 7, limiter=limiter) == 7
    assert "limiter:gpu" in repr(limiter)


@pytest.mark.parametrize("make", [threading.RLock, threading.Lock])
def test_a_condition_gives_the_named_lock_up_while_it_waits(probe, make):
    lock = why504.resource("queue", make())
    condition, ready = threading.Condition(lock), []

    def consume() -> None:
        with condition:
            condition.wait_for(lambda: ready, timeout=5)

    thread = threading.Thread(target=consume)
    thread.start()
    time.sleep(HOLD_AFTER_S * 2)
    assert probe.open(names.HOLD) == []
    with condition:
        ready.append(1)
        condition.notify()
    thread.join()

    assert probe.open(names.HOLD) == probe.open(names.WAIT) == []
    assert probe.records(names.HOLD) == []


async def test_a_condition_of_asyncio_takes_a_named_lock(probe):
    condition = asyncio.Condition(why504.resource("queue", asyncio.Lock()))

    async with condition:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(condition.wait(), 0.01)

    assert probe.open(names.HOLD) == []


@pytest.mark.parametrize("name", ["", "with space", "a" * 65, "x#2", 7])
def test_a_name_that_can_not_be_told_is_refused(name):
    with pytest.raises(ConfigError, match="take up to 64 letters"):
        why504.resource(name, threading.Lock())


@pytest.mark.parametrize("thing", [threading.Condition(), object(), threading.Event()])
def test_what_is_no_lock_is_refused_with_what_to_do_instead(thing):
    with pytest.raises(ConfigError, match=r"waiting\(\) and\s\.held\(\)"):
        why504.resource("model", thing)


def test_naming_a_lock_imports_no_opentelemetry():
    code = """
import sys, threading, why504
with why504.resource("model", threading.Lock()): pass
with why504.resource("gpu").held(): pass
print([name for name in sys.modules if name.partition(".")[0] in ("opentelemetry", "asyncio")])
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == "[]"


# --- what is told ---------------------------------------------------------------------------------


def test_what_nobody_waits_for_and_is_soon_given_back_tells_nothing(probe):
    lock = why504.resource("model", threading.Lock())
    for _ in range(100):
        with lock:
            pass

    assert probe.records(names.HOLD) == probe.records(names.WAIT) == []


def test_a_wait_and_the_hold_that_made_it_are_told_with_their_lines(probe):
    lock = why504.resource("model", threading.Lock())
    has_it = threading.Event()

    def holder() -> None:
        with lock:
            has_it.set()
            eventually(lambda: probe.book.of_kind(names.WAIT))
            time.sleep(0.02)

    thread = threading.Thread(target=holder)
    thread.start()
    has_it.wait(5)
    with TracerProvider().get_tracer("test").start_as_current_span("request") as request, lock:
        time.sleep(HOLD_AFTER_S * 1.2)
    thread.join()

    (wait,) = probe.records(names.WAIT)
    first, second = probe.records(names.HOLD)
    mine = request.get_span_context()
    assert wait.attributes[names.RESOURCE] == "lock:model"
    assert wait.attributes[names.OUTCOME] == "acquired"
    assert (wait.attributes[names.POOL_IN_USE], wait.attributes[names.POOL_CAPACITY]) == (1, 1)
    assert (wait.trace_id, wait.parent_id) == (mine.trace_id, mine.span_id)
    assert 0.02 <= (wait.end_ns - wait.start_ns) / 1e9 < 5
    assert str(first.attributes[names.CODE_FUNCTION]).endswith("holder")
    assert first.trace_id != mine.trace_id
    assert first.parent_id is None
    assert first.start_ns <= wait.start_ns
    assert abs(first.end_ns - wait.end_ns) < 1e9
    assert (second.trace_id, second.parent_id) == (mine.trace_id, mine.span_id)
    assert second.attributes[names.CODE_FILE] == wait.attributes[names.CODE_FILE]
    assert second.attributes[names.CODE_FILE].endswith("test_named_resources.py")


@pytest.mark.parametrize("kind", SYNC)
def test_a_thread_that_gives_up_waiting_has_timed_out(probe, kind):
    lock = why504.resource("model", MAKERS[kind]())
    got = []
    with lock:
        thread = threading.Thread(target=lambda: got.append(lock.acquire(timeout=0.02)))
        thread.start()
        thread.join()

    assert got == [False]
    assert outcomes(probe.records(names.WAIT)) == ["timeout"]
    assert len(probe.records(names.HOLD)) == 1


@pytest.mark.parametrize("kind", ASYNC)
async def test_a_task_that_is_cancelled_while_it_waits_has_nothing(probe, kind):
    lock = why504.resource("model", MAKERS[kind]())
    async with lock:
        waiter = asyncio.create_task(lock.acquire())
        await asyncio.sleep(0.01)
        assert [r.partition(":")[2] for r in probe.open(names.WAIT)] == ["model"]
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter

    assert outcomes(probe.records(names.WAIT)) == ["cancelled"]
    assert probe.open(names.WAIT) == probe.open(names.HOLD) == []
    assert len(probe.records(names.HOLD)) == 1


@pytest.mark.parametrize("kind", ASYNC)
async def test_who_waits_in_line_is_told_even_where_the_lock_is_free_for_a_moment(probe, kind):
    lock = why504.resource("model", MAKERS[kind]())

    async def take(seconds: float) -> None:
        async with lock:
            await asyncio.sleep(seconds)

    await lock.acquire()
    first = asyncio.create_task(take(0.01))
    await asyncio.sleep(0.002)
    lock.release()  # it is the first one's now, which has not run yet
    await asyncio.gather(first, take(0))

    assert len(probe.records(names.WAIT)) == 2


async def test_a_hold_that_lasts_is_told_while_it_lasts_and_once_when_it_is_over(probe):
    lock = why504.resource("model", asyncio.Lock())
    async with lock:
        assert probe.open(names.HOLD) == []
        await asyncio.sleep(HOLD_AFTER_S * 1.5)
        assert probe.open(names.HOLD) == ["lock:model"]
    assert probe.open(names.HOLD) == []

    (hold,) = probe.records(names.HOLD)
    assert hold.attributes[names.OUTCOME] == "released"
    assert (hold.end_ns - hold.start_ns) / 1e9 >= HOLD_AFTER_S * 1.5


async def test_three_holders_of_a_semaphore_are_three_holds(probe):
    places = why504.resource("gpu", asyncio.Semaphore(3))
    go_on = asyncio.Event()

    async def use() -> None:
        async with places:
            await go_on.wait()

    users = [asyncio.create_task(use()) for _ in range(4)]
    await asyncio.sleep(HOLD_AFTER_S * 1.5)
    assert probe.open(names.HOLD) == ["limiter:gpu"] * 3
    (wait,) = probe.book.of_kind(names.WAIT)
    assert (wait.attributes[names.POOL_CAPACITY], wait.attributes[names.POOL_IN_USE]) == (3, 3)
    go_on.set()
    await asyncio.gather(*users)

    assert len(probe.records(names.HOLD)) == 3
    assert probe.open(names.HOLD) == []


def test_a_lock_that_another_thread_gives_back_is_free(probe):
    lock = why504.resource("model", threading.Lock())
    lock.acquire()
    time.sleep(HOLD_AFTER_S * 1.2)
    assert probe.open(names.HOLD) == ["lock:model"]
    thread = threading.Thread(target=lock.release)
    thread.start()
    thread.join()

    assert probe.open(names.HOLD) == []
    assert lock.acquire(False)


def test_of_several_places_each_thread_gives_back_its_own(probe):
    places = why504.resource("gpu", threading.Semaphore(2))
    places.acquire()
    here = time.monotonic()
    thread = threading.Thread(target=lambda: (places.acquire(), places.release()))
    thread.start()
    thread.join()
    time.sleep(HOLD_AFTER_S * 1.2)

    assert probe.open(names.HOLD) == ["limiter:gpu"]
    (mine,) = probe.book.of_kind(names.HOLD)
    assert mine.place.thread_id == threading.get_ident()
    assert mine.opened_s == pytest.approx(here, abs=0.05)
    places.release(2)
    assert probe.open(names.HOLD) == []


def test_what_could_not_be_given_back_is_still_held(probe):
    lock = why504.resource("model", threading.RLock())
    refused = []

    def release() -> None:
        try:
            lock.release()
        except RuntimeError as error:
            refused.append(error)

    with lock, lock:
        time.sleep(HOLD_AFTER_S * 1.2)
        thread = threading.Thread(target=release)
        thread.start()
        thread.join()
        assert len(refused) == 1
        assert probe.open(names.HOLD) == ["lock:model"]
    assert probe.open(names.HOLD) == []
    assert len(probe.records(names.HOLD)) == 1


async def test_a_signal_has_waiters_and_no_holders(probe):
    ready = why504.resource("ready", asyncio.Semaphore(0))
    waiter = asyncio.create_task(ready.acquire())
    await asyncio.sleep(0.01)
    ready.release()
    await waiter
    await asyncio.sleep(HOLD_AFTER_S * 1.2)

    assert outcomes(probe.records(names.WAIT)) == ["acquired"]
    assert probe.open(names.HOLD) == probe.records(names.HOLD) == []


def test_two_locks_of_one_name_are_two_resources(probe):
    one, two = (why504.resource("user", threading.Lock()) for _ in range(2))
    with one, two:
        time.sleep(HOLD_AFTER_S * 1.2)
        first, second = probe.open(names.HOLD)

    assert first == "lock:user"
    assert second.startswith("lock:user#")


def test_a_lock_that_is_gone_is_held_by_nobody(probe):
    lock = why504.resource("once", threading.Lock())
    lock.acquire()
    time.sleep(HOLD_AFTER_S * 1.2)
    assert probe.open(names.HOLD) == ["lock:once"]
    del lock
    gc.collect()

    assert probe.open(names.HOLD) == []


@pytest.mark.parametrize(
    ("error", "outcome"), [(TimeoutError, "timeout"), (KeyError, "cancelled"), (None, "acquired")]
)
def test_what_is_no_lock_is_told_by_whoever_waits_for_it(probe, error, outcome):
    gpu = why504.resource("gpu")
    with pytest.raises(error) if error else nullcontext(), gpu.waiting():
        time.sleep(0.005)
        if error is not None:
            raise error
    with gpu.held():
        time.sleep(HOLD_AFTER_S * 1.2)
        assert probe.open(names.HOLD) == ["limiter:gpu"]

    assert outcomes(probe.records(names.WAIT)) == [outcome]
    assert outcomes(probe.records(names.HOLD)) == ["released"]


# --- never harms ----------------------------------------------------------------------------------


def test_an_error_of_the_probe_is_counted_and_the_lock_works(probe, monkeypatch):
    monkeypatch.setattr("why504.probe.site.caller_line", lambda passed_over: 1 / 0)
    monkeypatch.delenv(RAISE)
    lock = why504.resource("model", threading.Lock())
    with lock:
        thread = threading.Thread(target=lambda: lock.acquire(timeout=0.01))
        thread.start()
        thread.join()
    assert lock.acquire(False)

    assert probe.guard.errors["named resource"] == 3


def test_in_a_test_it_is_raised_and_nobody_has_the_lock(probe, monkeypatch):
    monkeypatch.setattr("why504.probe.site.caller_line", lambda passed_over: 1 / 0)
    lock = why504.resource("model", threading.Lock())
    with pytest.raises(ZeroDivisionError):
        lock.acquire()

    assert not lock.locked()


def test_in_a_test_an_error_is_raised_and_what_was_given_back_is_free(probe, monkeypatch):
    lock = why504.resource("model", threading.Lock())
    lock.acquire()
    with monkeypatch.context() as broken:
        broken.setattr(lock._resource, "holds", None)
        with pytest.raises(AttributeError):
            lock.release()

    assert not lock.locked()


def test_more_than_can_be_told_is_counted_and_forgotten(probe):
    lock = why504.resource("model", threading.Lock())
    for _ in range(UNTOLD_LIMIT + 5):
        lock._resource.last_wait_s = float("inf")  # somebody waited for it meanwhile
        with lock:
            pass

    assert len(probe.records(names.HOLD)) == UNTOLD_LIMIT
    assert probe.guard.errors["named resource: too many at once"] == 5


def test_threads_and_garbage_collection_at_once_leave_nothing_behind(probe):
    places = why504.resource("gpu", threading.Semaphore(3))

    class GivesBack:
        """Garbage that gives back what it took, whenever it is found."""

        def __init__(self) -> None:
            places.acquire()
            self.myself = self

        def __del__(self) -> None:
            places.release()

    def work() -> None:
        for number in range(150):
            if number % 3:
                with places:
                    time.sleep(0)
            else:
                GivesBack()
                gc.collect(0)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 30
    while any(thread.is_alive() for thread in threads):
        gc.collect()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    gc.collect()

    assert [places.acquire(False) for _ in range(4)] == [True] * 3 + [False]
    places.release(3)
    assert probe.open(names.HOLD) == probe.open(names.WAIT) == []
    assert not places._resource.holds


def test_a_signal_handler_may_take_and_give_back_at_any_moment(probe):
    lock = why504.resource("model", threading.Lock())
    interrupted: list[bool] = []

    def handler(number: int, frame: object) -> None:
        interrupted.append(lock.acquire(False))
        if interrupted[-1]:
            lock.release()

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        deadline = time.monotonic() + 20
        while len(interrupted) < 100 or len(set(interrupted)) < 2:
            with lock:
                pass
            assert time.monotonic() < deadline
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert set(interrupted) == {True, False}
    assert not lock.locked()
    assert not lock._resource.holds
    assert probe.open(names.HOLD) == []


def test_a_signal_handler_that_raises_leaves_the_lock_free(probe):
    class Interrupted(Exception):
        pass

    def handler(number: int, frame: object) -> None:
        raise Interrupted

    lock = why504.resource("model", threading.Lock())
    before = signal.signal(signal.SIGALRM, handler)
    try:
        with lock:
            pass
        held = threading.Event()
        done = threading.Event()

        def hold() -> None:
            with lock:
                held.set()
                done.wait(5)

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(5)
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with pytest.raises(Interrupted):
            lock.acquire()
        done.set()
        thread.join()
    finally:
        signal.signal(signal.SIGALRM, before)

    assert outcomes(probe.records(names.WAIT)) == ["cancelled"]
    assert lock.acquire(timeout=1)


def test_a_second_probe_listens_once_the_first_is_gone(probe):
    second = Probe()
    second.watch.tell()
    assert LISTENING.listener is probe.watch
    probe.watch.detach()
    second.watch.attach()
    assert LISTENING.listener is second.watch
    second.watch.detach()


def test_after_a_fork_only_what_is_taken_there_is_held(probe):
    resource = Resource(names.limiter, "gpu")
    with resource.held():
        probe.watch.forked()
        time.sleep(HOLD_AFTER_S * 1.2)
        assert probe.open(names.HOLD) == []

    assert probe.records(names.HOLD) == []
    assert trace.get_current_span() is trace.INVALID_SPAN
