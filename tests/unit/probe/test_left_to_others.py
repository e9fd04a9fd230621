"""What the probe takes from others it gives back, and what they do or want it leaves as it is."""

from __future__ import annotations

import asyncio
import contextvars
import faulthandler
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from opentelemetry import propagate, trace
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span, SpanProcessor
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import QueuePool

import why504
from why504.config import ProbeSettings
from why504.probe.clients.database import Database, StatementSpans
from why504.probe.clock import Clock
from why504.probe.exposed.metrics import Metrics
from why504.probe.givenback import give_back
from why504.probe.inflight import Registry
from why504.probe.kit import Patches
from why504.probe.lean.provider import LeanProvider
from why504.probe.lean.served import SERVED, ServerSpans
from why504.probe.pools.pool import PoolWatch
from why504.probe.safety import RAISE, Guard
from why504.probe.spans.calls import Calls
from why504.probe.spans.spanned import spanned_async
from why504.probe.telling.openrecord import RecordBook
from why504.testing import CollectedRecords, SequentialIds, settled

CARRIED = (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")


class Library:
    def call(self) -> str:
        return "theirs"


def louder(original: Any) -> Any:
    return lambda *args: original(*args) + "!"


def test_a_method_is_given_back():
    patches = Patches()
    patches.wrap(Library, "call", louder)
    assert Library().call() == "theirs!"
    patches.undo()

    assert Library().call() == "theirs"


def test_a_call_that_garbage_collection_ends_in_another_context_raises_and_logs_nothing(caplog):
    async def call() -> None:
        await asyncio.sleep(0)

    tracer = LeanProvider(Resource({})).get_tracer("test")
    made: list[Any] = []

    def begin() -> Any:
        made.append(tracer.start_span("call"))
        return made[0]

    calling = spanned_async(call, begin, Guard().site("test"))()
    contextvars.copy_context().run(calling.send, None)
    calling.close()

    assert not made[0].is_recording()
    assert caplog.records == []


def test_a_variable_is_given_back_where_it_was_set_and_left_alone_elsewhere():
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("test", default=0)
    token = variable.set(1)
    elsewhere = contextvars.Context()
    elsewhere.run(variable.set, 5)
    elsewhere.run(give_back, variable, token)
    assert (variable.get(), elsewhere[variable]) == (1, 5)

    give_back(variable, token)
    assert variable.get() == 0


def test_what_somebody_wrapped_since_is_left_to_them(monkeypatch):
    patches = Patches()
    patches.wrap(Library, "call", louder)
    monkeypatch.setattr(Library, "call", louder(Library.call))
    patches.undo()

    assert Library().call() == "theirs!!"
    monkeypatch.undo()
    assert Library().call() == "theirs!"
    Library.call = Library.call.__closure__[0].cell_contents  # type: ignore[method-assign, union-attr]


class Kept(SpanProcessor):
    def __init__(self) -> None:
        self.names: list[str] = []

    def on_end(self, span: Any) -> None:
        self.names.append(span.name)


class Broken(SpanProcessor):
    def on_end(self, span: Any) -> None:
        raise KeyError("theirs")


def statements_of(engine: Any, *processors: SpanProcessor) -> StatementSpans:
    provider = LeanProvider(Resource({}))
    for processor in processors:
        provider.add_span_processor(processor)
    calls = Calls(settled(provider.get_tracer("test")), Registry(Clock(), 10), dropped=None)  # type: ignore[arg-type]
    statements = StatementSpans(engine, Database.of(engine, "main"))
    statements.attach(Guard(), calls)
    return statements


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = create_engine("sqlite://", poolclass=QueuePool)
    yield engine
    engine.dispose()


def test_of_two_that_watch_an_engine_the_one_that_stays_goes_on(engine: Engine):
    first, second = Kept(), Kept()
    ours = statements_of(engine, first)
    statements_of(engine, second)
    ours.detach()
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))

    assert (first.names, second.names) == ([], ["SELECT"])


def pool_of(engine: Any) -> PoolWatch:
    clock, registry, metrics = Clock(), Registry(Clock(), 10), Metrics()
    book = RecordBook(clock, SequentialIds(), CollectedRecords())
    pool = PoolWatch(engine, "main", book, registry=registry, metrics=metrics, hold_after_s=0.1)
    tracer = LeanProvider(Resource({})).get_tracer("test")
    pool.attach(Guard(), Calls(settled(tracer), registry, dropped=None))  # type: ignore[arg-type]
    return pool


@pytest.mark.parametrize("disposed", [False, True])
def test_of_two_that_watch_a_pool_the_one_that_stays_goes_on(engine: Engine, disposed: bool):
    ours, theirs = pool_of(engine), pool_of(engine)
    ours.detach()
    if disposed:
        engine.dispose()
    with engine.connect():
        assert [len(ours.holds()), len(theirs.holds())] == [0, 1]

    assert [ours.slots.taken, theirs.slots.taken] == [0, 0]


def test_a_pool_is_given_back_as_it_was(engine: Engine):
    pool = pool_of(engine)
    engine.dispose()
    assert {"connect", "recreate"} <= vars(engine.pool).keys()
    pool.detach()

    assert not {"connect", "recreate"} & vars(engine.pool).keys()
    assert "do_ping" not in vars(engine.dialect)


def test_a_processor_that_fails_fails_no_statement(engine: Engine, monkeypatch):
    monkeypatch.delenv(RAISE)  # in our own tests our errors are raised
    statements_of(engine, Broken())
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1


async def _span_of(headers: list[tuple[bytes, bytes]]) -> Span:
    found = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.append(scope[SERVED].span)

    tracer = LeanProvider(Resource({})).get_tracer("test")
    scope = {"type": "http", "method": "GET", "path": "/", "headers": headers}
    await ServerSpans(app, tracer, Guard())(scope, None, None)  # type: ignore[arg-type]
    return found[0]


async def test_a_request_is_part_of_the_trace_that_it_says():
    span = await _span_of([CARRIED])
    assert span.parent is not None
    assert trace.format_span_id(span.parent.span_id) == "00f067aa0ba902b7"


@pytest.mark.parametrize("headers", [[CARRIED], [CARRIED, (b"baggage", b"a=1")]])
async def test_an_application_that_wants_no_parents_gets_none(monkeypatch, headers):
    monkeypatch.setattr(propagate, "_HTTP_TEXT_FORMAT", CompositePropagator([]))

    assert (await _span_of(headers)).parent is None


def test_faulthandler_has_its_own_functions_back_though_nothing_was_ever_served():
    own = faulthandler.dump_traceback_later, faulthandler.cancel_dump_traceback_later
    probe = why504.instrument(FastAPI(), settings=ProbeSettings(metrics_port=-1))
    assert faulthandler.dump_traceback_later is not own[0]
    probe.shutdown()

    assert own == (faulthandler.dump_traceback_later, faulthandler.cancel_dump_traceback_later)
