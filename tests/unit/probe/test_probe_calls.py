"""Outgoing calls of requests that sampling dropped: the long ones are told. Time is a fake."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer

from why504 import names
from why504.probe.activity import Activity
from why504.probe.clients.database import fail_span
from why504.probe.inflight import (
    MOST_FAILED,
    REQUEST,
    OpenSpan,
    Registry,
    RegistryProcessor,
)
from why504.probe.safety import Guard
from why504.probe.spans.calls import Calls
from why504.probe.telling.dropped import MOST_SHORT_CALLS_PER_S, Dropped
from why504.probe.telling.openrecord import RecordBook
from why504.probe.telling.publisher import Publisher
from why504.probe.telling.records import RecordSpan
from why504.probe.telling.rhythm import Rhythm
from why504.testing import CollectedRecords, FakeClock, SequentialIds, settled

HERE = "tests/unit/probe/test_probe_calls.py"
QUERY = {names.DB_SYSTEM: "postgresql", names.DB_QUERY: "SELECT pg_sleep(%(s)s)"}
AFTER_S = 1.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def kept() -> CollectedRecords:
    return CollectedRecords()


@pytest.fixture
def registry(clock) -> Registry:
    return Registry(clock, limit=4)


@pytest.fixture
def make(clock, kept, registry) -> Callable[[Tracer], Calls]:
    return lambda tracer: Calls(settled(tracer), registry, Dropped(kept, clock, AFTER_S))


@pytest.fixture
def calls(make) -> Calls:
    return make(TracerProvider(sampler=ALWAYS_OFF).get_tracer("test"))


@pytest.fixture
def tell(clock, kept, registry) -> Callable[[], int]:
    publisher = Publisher(
        registry,
        RecordBook(clock, SequentialIds(), kept),
        rhythm=Rhythm(first_s=AFTER_S, longest_s=300.0),
        look=lambda: Activity(registry, []),
        guard=Guard(),
    )
    return lambda: publisher.tell_due(clock)


@pytest.fixture
def request_dropped(registry) -> Iterator[OpenSpan]:
    """A request in flight that sampling dropped; the test runs inside it."""
    tracer = TracerProvider(sampler=ALWAYS_OFF).get_tracer("server")
    with tracer.start_as_current_span("POST /x") as span:
        context = span.get_span_context()
        entry = OpenSpan(context.trace_id, context.span_id)
        token = REQUEST.set(entry)
        yield entry
        REQUEST.reset(token)


def line_of(mark: str) -> int:
    lines = Path(__file__).read_text().splitlines()
    return next(n for n, line in enumerate(lines, 1) if line.endswith(f"# {mark}"))


def test_a_dropped_call_that_took_long_is_told_when_it_ends(calls, clock, kept, request_dropped):
    began_ns = clock.wall_ns()
    call = calls.begin("SELECT", dict(QUERY))
    clock.advance(1.5)
    call.end()  # ends

    thread = kept.sent[0].attributes[names.THREAD_ID]
    assert kept.sent == [
        RecordSpan(
            name="SELECT",
            trace_id=request_dropped.trace_id,
            span_id=call.get_span_context().span_id,
            parent_id=request_dropped.span_id,
            start_ns=began_ns,
            end_ns=began_ns + 1_500_000_000,
            attributes={
                **QUERY,
                names.THREAD_ID: thread,
                names.CODE_FILE: HERE,
                names.CODE_LINE: line_of("ends"),
                names.CODE_FUNCTION: "test_a_dropped_call_that_took_long_is_told_when_it_ends",
                names.KEEP: True,
            },
            kind=SpanKind.CLIENT,
        )
    ]


def test_it_is_told_while_open_as_a_part_of_its_request(calls, clock, kept, tell, request_dropped):
    call = calls.begin("SELECT", dict(QUERY))
    clock.advance(1.1)
    tell()

    [told] = kept.sent
    assert told.name == "snapshot SELECT"
    assert told.trace_id == request_dropped.trace_id
    assert told.parent_id == call.get_span_context().span_id
    assert told.attributes[names.SNAPSHOT_PARENT] == f"{request_dropped.span_id:016x}"
    assert told.attributes[names.SNAPSHOT_KIND] == "client"
    assert {name: told.attributes[name] for name in QUERY} == QUERY
    call.end()
    assert kept.tellings_of(kept.sent[-1]) == [told]


def test_short_calls_tell_nothing_and_leave_nothing_behind(
    calls, clock, kept, registry, request_dropped
):
    for _ in range(100):
        call = calls.begin("SELECT", dict(QUERY))
        clock.advance(0.9)
        call.end()

    assert kept.sent == []
    assert registry.spans == {}
    assert registry.dropped == 0


def test_of_a_request_that_takes_long_short_calls_are_told_too(
    calls, clock, kept, registry, request_dropped
):
    registry.open(request_dropped)
    for _ in range(5):
        call = calls.begin("SELECT", dict(QUERY))
        clock.advance(0.4)
        call.end()

    assert [told.name for told in kept.sent] == ["SELECT"] * 3
    assert {told.parent_id for told in kept.sent} == {request_dropped.span_id}


def test_what_failed_before_is_told_with_the_request_that_takes_long(
    calls, clock, kept, registry, tell, request_dropped
):
    registry.open(request_dropped)
    for _ in range(MOST_FAILED + 5):
        call = calls.begin("POST", {names.HTTP_STATUS: 429})
        call.set_status(Status(StatusCode.ERROR))
        clock.advance(0.01)
        call.end()
    assert kept.sent == []

    clock.advance(1)
    tell()
    tell()

    told = [record for record in kept.sent if record.name == "POST"]
    assert len(told) == MOST_FAILED
    assert {record.parent_id for record in told} == {request_dropped.span_id}
    assert {record.attributes[names.HTTP_STATUS] for record in told} == {429}


def test_no_more_short_calls_are_told_than_a_service_can_bear(
    calls, clock, kept, registry, request_dropped
):
    registry.open(request_dropped)
    clock.advance(2)
    for _ in range(MOST_SHORT_CALLS_PER_S + 100):
        calls.begin("SELECT", dict(QUERY)).end()
    assert len(kept.sent) == MOST_SHORT_CALLS_PER_S

    clock.advance(1)
    calls.begin("SELECT", dict(QUERY)).end()
    assert len(kept.sent) == MOST_SHORT_CALLS_PER_S + 1


def test_a_dropped_call_that_fails_says_how(calls, clock, kept, request_dropped):
    call = calls.begin("GET", {names.SERVER_ADDRESS: "api.test"})
    clock.advance(2)
    fail_span(call, TimeoutError("secret-4711"))
    call.end()  # the second end of a span counts for nothing

    [told] = kept.sent
    assert (told.error, told.attributes[names.ERROR_TYPE]) == ("TimeoutError", "TimeoutError")
    assert names.CODE_LINE not in told.attributes
    assert "secret-4711" not in str(told)


def test_a_call_outside_any_request_has_a_trace_of_its_own(calls, clock, kept):
    call = calls.begin("SELECT", dict(QUERY))
    clock.advance(2)
    call.end()

    [told] = kept.sent
    assert (told.trace_id, told.parent_id) == (call.get_span_context().trace_id, None)


def test_a_call_that_is_sampled_is_told_by_its_own_span_only(make, clock, kept, registry):
    provider = TracerProvider(sampler=ALWAYS_ON)
    provider.add_span_processor(RegistryProcessor(registry, Guard()))
    call = make(provider.get_tracer("test")).begin("SELECT", dict(QUERY))
    clock.advance(2)
    assert [entry.span for entry in registry.spans.values()] == [call]
    call.end()

    assert kept.sent == []


def test_more_calls_than_the_limit_are_counted_not_kept(calls, clock, kept, registry):
    begun = [calls.begin("SELECT", dict(QUERY)) for _ in range(6)]
    clock.advance(2)
    for call in begun:
        call.end()

    assert (len(kept.sent), registry.dropped) == (4, 2)


def test_a_tracer_that_is_switched_off_makes_no_calls(make, clock, kept, registry, request_dropped):
    registry.open(request_dropped)
    call = make(trace.NoOpTracer()).begin("SELECT", dict(QUERY))
    clock.advance(2)
    call.end()

    assert kept.sent == []
    assert list(registry.spans.values()) == [request_dropped]
