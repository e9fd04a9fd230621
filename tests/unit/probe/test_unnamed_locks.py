"""Locks that nobody named: who stands before one and who is inside is told while it lasts."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing, contextmanager, suppress

import pytest
from starlette.responses import StreamingResponse

import why504
from why504 import names
from why504.probe.inflight import REQUEST, OpenSpan, Registry
from why504.probe.locks.unnamedwatch import LONGEST_S, UnnamedWatch
from why504.probe.safety import Guard
from why504.probe.telling.openrecord import OpenRecord, RecordBook
from why504.probe.telling.records import random_ids
from why504.testing import CollectedRecords, FakeClock


class Probe:
    """The watch, with a clock that is moved by hand."""

    def __init__(self, loops=lambda: []) -> None:
        self.clock = FakeClock()
        self.records = CollectedRecords()
        self.book = RecordBook(self.clock, random_ids(), self.records)
        self.registry = Registry(self.clock, 100)
        self.watch = UnnamedWatch(self.book, self.registry, loops, Guard())

    def request(self) -> OpenSpan:
        """Somebody is in flight: nothing is looked at otherwise."""
        entry = OpenSpan(7, 77)
        self.registry.open(entry)
        return entry

    def look(self, times: int = 2) -> list[OpenRecord]:
        for _ in range(times):
            self.clock.advance(LONGEST_S)
            self.watch.look()
        return list(self.book.open_records.values())


def told(records: list[OpenRecord]) -> set[tuple[str, str, str]]:
    return {
        (each.kind, each.resource, str(each.attributes.get(names.CODE_FUNCTION)))
        for each in records
    }


class Till:
    def __init__(self, lock) -> None:
        self.lock = lock
        self.inside, self.go = threading.Event(), threading.Event()

    def serve(self) -> None:
        with self.lock:
            self.inside.set()
            self.go.wait(20)

    def queue(self) -> None:
        with self.lock:
            pass


@contextmanager
def running(*work: Callable[[], None]) -> Iterator[None]:
    threads = [threading.Thread(target=each, daemon=True) for each in work]
    for thread in threads:
        thread.start()
        time.sleep(0.05)
    yield
    for thread in threads:
        thread.join(20)


@pytest.mark.parametrize("make", [threading.Lock, threading.RLock])
def test_a_lock_is_told_with_who_waits_and_who_is_inside(make):
    till, probe = Till(make()), Probe()
    probe.request()
    with running(till.serve, till.queue):
        found = probe.look()
        till.go.set()
    assert told(found) == {
        ("wait", "lock:Till.lock", "Till.queue"),
        ("hold", "lock:Till.lock", "Till.serve"),
    }
    assert probe.look(1) == []
    assert [r.attributes[names.OUTCOME] for r in probe.records.of_kind("wait")] == ["acquired"]


def test_an_rlock_tells_its_owner_however_it_was_taken():
    till, probe = Till(threading.RLock()), Probe()
    probe.request()
    here, go = threading.Event(), threading.Event()

    def take() -> None:
        till.lock.acquire()
        here.set()
        go.wait(20)
        till.lock.release()

    with running(take, till.queue):
        found = probe.look()
        go.set()
    assert {each.kind for each in found} == {"wait", "hold"}


def test_places_of_a_semaphore_are_a_limiter():
    till, probe = Till(threading.Semaphore(1)), Probe()
    probe.request()
    with running(till.serve, till.queue):
        found = probe.look()
        till.go.set()
    assert {(each.kind, each.resource) for each in found} == {
        ("wait", "limiter:Till.lock"),
        ("hold", "limiter:Till.lock"),
    }


def test_of_two_locks_with_one_name_each_is_itself():
    tills, probe = [Till(threading.Lock()), Till(threading.Lock())], Probe()
    probe.request()
    with running(*(work for till in tills for work in (till.serve, till.queue))):
        found = probe.look()
        for till in tills:
            till.go.set()
    assert sorted(each.resource for each in found) == sorted(
        ["lock:Till.lock", "lock:Till.lock#2"] * 2
    )


def test_a_lock_that_the_user_named_is_left_to_its_wrapper():
    till, probe = Till(why504.resource("till", threading.Lock())), Probe()
    probe.request()
    with running(till.serve, till.queue):
        assert probe.look() == []
        till.go.set()


def test_nobody_looks_while_no_request_is_open_for_long():
    till, probe = Till(threading.Lock()), Probe()
    with running(till.serve, till.queue):
        assert probe.look() == []
        till.go.set()


def test_threads_that_wait_for_an_event_or_a_queue_wait_for_no_lock():
    probe, event = Probe(), threading.Event()
    probe.request()
    with running(lambda: event.wait(20) and None):
        assert probe.look() == []
        event.set()


async def test_tasks_are_told_with_their_requests():
    loop = asyncio.get_running_loop()
    probe = Probe(loops=lambda: [(loop, threading.get_ident())])
    lock = asyncio.Lock()

    async def have() -> None:
        async with lock:
            await asyncio.sleep(60)

    async def want() -> None:
        probe.request()
        async with lock:
            pass

    tasks = [asyncio.create_task(have()), asyncio.create_task(want())]
    await asyncio.sleep(0.01)
    found = probe.look()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    wait = next(each for each in found if each.kind == names.WAIT)
    assert (wait.resource, wait.parent_id) == (f"lock:{__name__}.lock", 77)
    assert [each.kind for each in found if each is not wait] == [names.HOLD]


async def test_a_lock_in_the_generator_of_a_streamed_response_is_told_with_its_request():
    loop = asyncio.get_running_loop()
    probe = Probe(loops=lambda: [(loop, threading.get_ident())])
    model = asyncio.Semaphore(1)

    async def tokens() -> AsyncIterator[bytes]:
        async with model:
            await asyncio.sleep(60)
            yield b""

    async def sent(_: object) -> None:
        """Take it."""

    async def answer(trace_id: int) -> None:
        entry = OpenSpan(trace_id, trace_id)
        probe.registry.open(entry)
        token = REQUEST.set(entry)
        await StreamingResponse(tokens())({"type": "http"}, asyncio.Event().wait, sent)
        REQUEST.reset(token)

    tasks = [asyncio.create_task(answer(number)) for number in (7, 8)]
    for _ in range(8):
        await asyncio.sleep(0)
    found = probe.look()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    resource = f"limiter:{__name__}.model"
    assert {(each.kind, each.resource, each.parent_id) for each in found} == {
        (names.WAIT, resource, 8),
        (names.HOLD, resource, 7),
    }


class Blocked:
    """A loop in a thread of its own, one task of which blocks it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread_id = 0
        self.probe = Probe(loops=lambda: [(self.loop, self.thread_id)])

    def run(self, *work: Callable[[], Awaitable[None]]) -> None:
        async def serve() -> None:
            await asyncio.gather(*(each() for each in work))

        self.thread_id = threading.get_ident()
        with closing(self.loop):
            self.loop.run_until_complete(serve())

    async def ask(self, till: Till) -> None:
        self.probe.request()
        till.queue()


def test_a_loop_that_stands_at_a_lock_of_threads_is_told_with_its_request():
    blocked, till = Blocked(), Till(threading.Lock())

    with running(till.serve, lambda: blocked.run(lambda: blocked.ask(till))):
        found = blocked.probe.look()
        till.go.set()

    wait = next(each for each in found if each.kind == names.WAIT)
    assert (wait.resource, wait.parent_id) == ("lock:Till.lock", 77)
    assert wait.attributes[names.THREAD_ID] == blocked.thread_id
    assert told(found) - told([wait]) == {("hold", "lock:Till.lock", "Till.serve")}


def test_a_task_that_awaits_while_it_has_a_lock_of_threads_is_told_to_have_it():
    blocked, lock = Blocked(), threading.Lock()
    till = Till(lock)

    async def have() -> None:
        with suppress(RuntimeError), lock:  # the test has let it go, for nobody else can
            await asyncio.sleep(0)

    with running(lambda: blocked.run(have, lambda: blocked.ask(till))):
        found = blocked.probe.look()
        lock.release()

    assert {each.kind for each in found} == {names.WAIT, names.HOLD}
