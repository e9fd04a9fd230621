"""Records: what is told of open things, when, and under which ids. Time and ids are fakes."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import tracemalloc
import weakref
from bisect import bisect
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import SpanContext, SpanKind

from tests.otlp_receiver import Receiver
from why504 import names
from why504.diagnose.kept import SILENT_NS
from why504.probe.activity import Activity
from why504.probe.inflight import OpenSpan, Place, Registry
from why504.probe.safety import RAISE, Guard
from why504.probe.site import display_path
from why504.probe.telling.openrecord import OpenRecord, RecordBook
from why504.probe.telling.publisher import HEARD_EVERY_S, SELDOM_S, Publisher
from why504.probe.telling.records import RecordSender, RecordSpan
from why504.probe.telling.rhythm import Rhythm, Telling
from why504.testing import CollectedRecords, FakeClock, SequentialIds

RHYTHM = Rhythm(first_s=1.0, longest_s=300.0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def kept() -> CollectedRecords:
    return CollectedRecords()


@pytest.fixture
def book(clock, kept) -> RecordBook:
    return RecordBook(clock, SequentialIds(), kept)


@pytest.fixture
def registry(clock) -> Registry:
    return Registry(clock, limit=3)


@pytest.fixture
def tell(clock, book, registry) -> Callable[[], int]:
    publisher = Publisher(
        registry, book, rhythm=RHYTHM, look=lambda: Activity(registry, []), guard=Guard()
    )
    return lambda: publisher.tell_due(clock)


def hold(book: RecordBook) -> OpenRecord:
    record = book.mint(names.HOLD, names.pool("main"), Place.here())
    book.open(record)
    return record


def test_of_a_thread_outside_any_request_its_name_and_line_are_told(book, clock, kept, tell):
    inside, go = threading.Event(), threading.Event()

    def refresh() -> None:
        hold(book)
        inside.set()
        go.wait(20)

    thread = threading.Thread(target=refresh, name="refresher")
    thread.start()
    inside.wait(20)
    clock.advance(1.0)
    tell()
    go.set()
    thread.join(20)

    (told,) = kept.sent
    assert told.attributes[names.THREAD_NAME] == "refresher"
    at = str(told.attributes[names.HOLD_AT])
    assert at.startswith(f'File "{display_path(__file__)}", line ')
    assert at.endswith(f", in {refresh.__qualname__}")
    assert names.REQUEST_ENDED not in told.attributes


def test_an_open_record_is_told_at_growing_intervals(book, clock, kept, tell):
    record = hold(book)
    ages = []

    for _ in range(100):
        clock.advance(0.1)
        if tell():
            ages.append(round(record.lasted_s(clock.monotonic_s()), 1))

    assert ages == [1.0, 2.5, 4.8, 8.2]
    assert [r.attributes[names.SNAPSHOT_SEQUENCE] for r in kept.sent] == [1, 2, 3, 4]


def test_a_ten_hour_hang_of_many_writes_some_hundred_rows_each(book, clock, kept, tell):
    for _ in range(30):
        hold(book)

    for _ in range(36_000):
        clock.advance(1.0)
        tell()

    heartbeats = 36_000 / SELDOM_S + 20
    assert 30 * 100 < len(kept.sent) < 30 * 150 + heartbeats


def test_every_telling_has_an_id_of_its_own_and_names_the_record(book, clock, kept, tell):
    record = hold(book)
    for _ in range(3):
        clock.advance(10)
        tell()
    book.close(record, "released", publish=False)

    *told, final = kept.sent
    assert final.span_id == record.span_id
    assert final.attributes == {
        names.KIND: "hold",
        names.RESOURCE: "db.pool:main",
        names.KEEP: True,
        names.OUTCOME: "released",
    }
    assert len({one.span_id for one in kept.sent}) == 4
    assert {one.attributes[names.SNAPSHOT_OF] for one in told} == {f"{record.span_id:016x}"}
    assert {one.attributes[names.OUTCOME] for one in told} == {"open"}
    assert {(one.trace_id, one.parent_id) for one in kept.sent} == {(final.trace_id, None)}
    assert kept.tellings_of(final) == told


def test_what_was_never_told_and_did_not_matter_is_not_written(book, clock, kept):
    record = hold(book)
    clock.advance(0.05)
    book.close(record, "released", publish=False)

    assert kept.sent == []


def test_what_ends_as_it_is_about_to_be_told_is_told_never_or_with_its_end(book, clock, kept):
    early, late = (book.mint(names.HOLD, names.pool("main"), Place.here()) for _ in range(2))
    for record in (early, late):
        book.open(record)
        record.telling = Telling(record.opened_s, RHYTHM)
    assert late.telling is not None
    assert early.telling is not None

    book.close(early, "released", publish=False)
    claimed = [
        book.claim(early, early.telling, clock.monotonic_s()),
        book.claim(late, late.telling, clock.monotonic_s()),
    ]
    book.close(late, "released", publish=False)

    assert claimed == [None, 1]
    assert [record.span_id for record in kept.sent] == [late.span_id]


def test_while_nothing_is_open_it_is_looked_seldom_and_yet_in_time(book, registry):
    def pause_s(first_s: float) -> float:
        rhythm = Rhythm(first_s=first_s, longest_s=300.0)
        return Publisher(
            registry, book, rhythm=rhythm, look=lambda: Activity(registry, []), guard=Guard()
        ).pause_s()

    assert [pause_s(first_s) for first_s in (0.1, 0.6, 1.0, 60.0)] == [0.2, 0.3, 0.5, 0.5]
    book.open(record := book.mint(names.HOLD, names.pool("main"), Place.here()))
    assert pause_s(1.0) == 0.2
    book.close(record, "released", publish=False)
    assert pause_s(1.0) == 0.5
    registry.open(OpenSpan(1, 2))
    assert pause_s(1.0) == 0.2


def test_durations_come_from_the_monotonic_clock_when_the_wall_clock_jumps(book, clock, kept):
    record = hold(book)
    began_ns = clock.wall_ns()
    clock.advance(2.0)
    clock.set_wall(began_ns - 3_600_000_000_000)
    book.close(record, "released", publish=True)

    (final,) = kept.sent
    assert (final.start_ns, final.end_ns - final.start_ns) == (began_ns, 2_000_000_000)


def request(registry: Registry, span_id: int, trace_id: int = 7) -> OpenSpan:
    context = SpanContext(trace_id, span_id, is_remote=False)
    entry = OpenSpan.dropped(context, SpanKind.SERVER)
    entry.scope = {"type": "http", "method": "GET", "path": "/v1/x"}
    registry.open(entry)
    return entry


def test_a_request_that_waits_says_for_what(book, clock, kept, registry, tell):
    request(registry, 99)
    wait = book.mint(names.WAIT, names.pool("main"), Place.here())
    wait.trace_id = 7
    book.open(wait)
    clock.advance(1.5)
    tell()

    (snapshot,) = kept.of_kind(names.SNAPSHOT)
    assert snapshot.attributes[names.WAITING_ON] == "db.pool:main"
    assert snapshot.attributes[names.INFLIGHT_AGE_S] == 1.5
    assert snapshot.attributes[names.SNAPSHOT_OF] == f"{99:016x}"
    assert snapshot.attributes[names.SNAPSHOT_PARENT] == ""
    assert (snapshot.parent_id, snapshot.kind, snapshot.trace_id) == (99, SpanKind.INTERNAL, 7)
    assert snapshot.attributes[names.SNAPSHOT_KIND] == "server"
    assert snapshot.name == "snapshot GET"


def test_while_anything_is_open_its_process_is_heard_of_again_and_again(book, clock, kept, tell):
    hold(book)
    for _ in range(3600):
        clock.advance(1.0)
        tell()

    ends_ns = [one.end_ns for one in kept.sent]
    silences_s = [(b - a) / 1e9 for a, b in pairwise(ends_ns)]
    first = bisect([end_ns - ends_ns[0] for end_ns in ends_ns], 10 * HEARD_EVERY_S * 1e9)
    assert max(silences_s[:first]) <= HEARD_EVERY_S + 1
    assert max(silences_s) <= SELDOM_S + 1
    assert SELDOM_S * 3 <= SILENT_NS / 1e9
    assert len(kept.sent) <= 3600 / SELDOM_S + 60


def test_whoever_hangs_anew_is_heard_of_as_often_as_the_first(book, clock, kept, tell):
    hold(book)
    for _ in range(3600):
        clock.advance(1.0)
        tell()
    before = len(kept.sent)
    hold(book)
    for _ in range(40):
        clock.advance(1.0)
        tell()

    ends_ns = [one.end_ns for one in kept.sent[before + 1 :]]
    assert max(b - a for a, b in pairwise(ends_ns)) <= (HEARD_EVERY_S + 1) * 1e9


def test_who_is_heard_of_again_and_again_tells_a_wait_which_has_no_stack(book, clock, kept, tell):
    hold(book)
    book.open(wait := book.mint(names.WAIT, "db.pool:main", Place.here()))
    for _ in range(3600):
        clock.advance(1.0)
        tell()

    told = Counter(one.attributes[names.KIND] for one in kept.sent)
    assert wait.telling.sequence == told[names.WAIT] > 150
    assert 10 < told[names.HOLD] < 100


def test_spans_over_the_limit_are_counted_not_kept(registry):
    for span_id in range(1, 6):
        request(registry, span_id)

    assert (len(registry.spans), registry.dropped) == (3, 2)


def test_what_an_entry_is_told_late_costs_it_no_dictionary():
    registry = Registry(FakeClock(), 2_000)
    late = [name for name in OpenSpan.__annotations__ if name not in vars(OpenSpan(1, 2))]
    for span_id in range(2_000):
        registry.open(OpenSpan(1, span_id))
    tracemalloc.start()
    try:
        for entry in registry.spans.values():
            for name in late:
                setattr(entry, name, None)
        grown_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert {"telling", "_name", "worker_cpu"} <= set(late)
    assert grown_bytes / 2_000 < 50


def test_closing_twice_or_what_is_unknown_does_nothing(registry):
    request(registry, 1)
    registry.close(1)
    registry.close(1)
    registry.close(12345)

    assert registry.spans == {}


async def test_the_innermost_span_of_a_task_is_found_whatever_ends_first(registry):
    task = asyncio.current_task()
    assert task is not None
    request(registry, 1)
    inner = request(registry, 2)
    assert registry.innermost(task) is inner
    registry.close(1)
    assert registry.innermost(task) is inner
    registry.close(2)

    assert registry.innermost(task) is None


async def test_a_child_task_that_enters_is_found_and_its_parent_too(registry):
    entry = request(registry, 1)
    outer = asyncio.current_task()
    assert outer is not None

    async def child() -> None:
        inner = asyncio.current_task()
        assert inner is not None
        leave = registry.enter(entry)
        assert registry.innermost(inner) is entry
        assert registry.innermost(outer) is entry
        leave()
        assert registry.innermost(inner) is None

    await asyncio.create_task(child())

    assert registry.innermost(outer) is entry


async def test_a_request_that_is_answered_twice_at_once_is_found_in_both_tasks(registry):
    # A middleware runs the application in a task, finds it slow, and runs it again itself.
    entry = request(registry, 1)
    middleware = asyncio.current_task()
    goes_on = asyncio.Event()

    async def first() -> None:
        leave = registry.enter(entry)
        await goes_on.wait()
        assert registry.innermost(asyncio.current_task()) is entry
        leave()
        assert registry.innermost(asyncio.current_task()) is None

    task = asyncio.create_task(first())
    await asyncio.sleep(0)
    leave = registry.enter(entry)
    assert registry.innermost(middleware) is registry.innermost(task) is entry
    leave()
    assert registry.innermost(middleware) is registry.innermost(task) is entry
    goes_on.set()
    await task

    assert registry.close(1) is entry
    assert registry._places == {}


async def test_spans_of_a_task_that_overlap_are_forgotten_once_they_end(registry):
    task = asyncio.current_task()
    ended = weakref.WeakSet()
    for span_id in range(1, 100):
        ended.add(request(registry, span_id))
        if span_id > 1:
            registry.close(span_id - 1)
        assert registry.innermost(task) is registry.spans[span_id]

    assert len(ended) == 1
    registry.close(99)
    assert registry._places == {}


async def test_of_spans_of_a_task_the_latest_that_is_open_is_innermost(registry):
    task = asyncio.current_task()
    entries = {span_id: request(registry, span_id) for span_id in (1, 2, 3)}
    for ends, innermost in ((2, 3), (3, 1), (1, None)):
        registry.close(ends)
        assert registry.innermost(task) is entries.get(innermost)

    assert registry._places == {}


def test_what_is_not_kept_says_still_how_long_it_took(clock):
    full = Registry(clock, 0)
    entry = request(full, 1)
    clock.advance(2.0)

    assert (full.dropped, clock.monotonic_s() - entry.opened_s) == (1, 2.0)
    assert entry.start_ns > 0


def test_a_sender_without_a_collector_never_blocks_and_never_raises():
    lost: list[int] = []
    sender = RecordSender("http://127.0.0.1:9", lambda: Resource({}), on_failure=lost.append)
    for span_id in range(1, 20_001):
        sender.send(RecordSpan("wait x", 1, span_id, None, 10, 5))
    sender.shutdown()
    sender.send(RecordSpan("wait x", 1, 1, None, 10, 5))


def test_what_waits_behind_a_slow_export_is_sent_at_an_exit_too(free_port):
    receiver = Receiver(free_port)
    receiver.delay_s = 0.4
    sender = RecordSender(f"http://127.0.0.1:{free_port}", lambda: Resource({}))
    sender.send(RecordSpan("wait x", 1, 1, None, 10, 15))
    while receiver.begun == 0:
        time.sleep(0.01)
    sender.send(RecordSpan("wait x", 1, 2, None, 10, 15))

    sender.shutdown()

    receiver.stop()
    assert [int.from_bytes(span.span_id) for span in receiver.spans] == [1, 2]


def test_an_error_inside_the_probe_is_swallowed_and_counted_in_production(monkeypatch, caplog):
    monkeypatch.delenv(RAISE)
    guard = Guard()
    for _ in range(3):
        with guard.site("here"):
            raise ValueError("ours")

    assert guard.errors == {"here": 3}
    assert len(caplog.records) == 1


def test_an_error_inside_the_probe_is_raised_in_our_own_tests():
    with pytest.raises(ValueError, match="ours"), Guard().site("here"):
        raise ValueError("ours")


def test_an_error_inside_the_probe_is_swallowed_in_the_tests_of_a_service(monkeypatch):
    monkeypatch.delenv(RAISE)
    assert "PYTEST_CURRENT_TEST" in os.environ
    with Guard().site("here"):
        raise ValueError("ours")


def test_cancellation_is_never_swallowed(monkeypatch):
    monkeypatch.delenv(RAISE)
    with pytest.raises(asyncio.CancelledError), Guard().site("here"):
        raise asyncio.CancelledError
