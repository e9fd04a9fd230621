"""Spans of calls begin by a shorter way; they are the spans that the long way would begin."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, TraceState

from why504 import names
from why504.probe.clock import Clock
from why504.probe.inflight import Registry
from why504.probe.lean.provider import LeanProvider
from why504.probe.lean.span import LeanSpan
from why504.probe.lean.tracer import start_call
from why504.probe.lean.wire import Prepared
from why504.probe.spans.calls import Calls
from why504.probe.telling.dropped import Dropped
from why504.testing import CollectedRecords, settled

PREPARED = Prepared({"db.query.text": "SELECT 1", "server.port": 5432})
OWN = Prepared({names.THREAD_ID: 7})
STATE = TraceState([("vendor", "x")])


class Counted(IdGenerator):
    def __init__(self) -> None:
        self.ids = count(1)

    def generate_span_id(self) -> int:
        return next(self.ids)

    def generate_trace_id(self) -> int:
        return next(self.ids)


def lean(**changed: Any) -> LeanProvider:
    provider = LeanProvider(Resource({}))
    for name, value in changed.items():
        setattr(provider, name, value)
    return provider


def limited() -> LeanProvider:
    provider = LeanProvider(Resource({}))
    provider.limits.max_span_attributes = 2
    return provider


def theirs(*, flags: int, is_remote: bool) -> Callable[[Any], Any]:
    context = SpanContext(2**127 + 5, 9, is_remote, TraceFlags(flags), STATE)
    return lambda _: NonRecordingSpan(context)


AROUND: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda _: trace.INVALID_SPAN,
    "a span of ours": lambda tracer: tracer.start_span("request"),
    "a request from elsewhere": theirs(flags=1, is_remote=True),
    "a request from elsewhere that is not sampled": theirs(flags=0, is_remote=True),
    "a span of ours within one with a state": lambda tracer: tracer.start_span(
        "request", trace.set_span_in_context(theirs(flags=3, is_remote=True)(None))
    ),
}
PROVIDERS: dict[str, Callable[[], TracerProvider]] = {
    "ours": lean,
    "ours with ids of the application": lambda: lean(id_generator=Counted()),
    "ours with a sampler that takes all": lambda: lean(sampler=ALWAYS_ON),
    "ours with a sampler that takes nothing": lambda: lean(sampler=ALWAYS_OFF),
    "ours with a sampler that takes some": lambda: lean(sampler=TraceIdRatioBased(0.0)),
    "ours with a limit of two attributes": limited,
    "the application's": TracerProvider,
}


def told(span: Any) -> dict[str, Any]:
    context = span.get_span_context()
    said = {"records": span.is_recording(), "flags": context.trace_flags, "is": type(span)}
    said |= {"state": context.trace_state, "valid": context.is_valid, "remote": context.is_remote}
    if span.is_recording():
        said |= {"name": span.name, "kind": span.kind, "parent": span.parent}
        said |= {"attributes": dict(span.attributes), "dropped": span.dropped_attributes}
    return said


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("around", AROUND)
def test_it_is_the_span_that_the_long_way_would_begin(provider: str, around: str):
    tracer = PROVIDERS[provider]().get_tracer("test")
    parent = AROUND[around](tracer)
    with trace.use_span(parent):
        short = settled(tracer).start_call("SELECT", SpanKind.CLIENT, PREPARED, OWN)
        long = start_call(tracer, "SELECT", SpanKind.CLIENT, PREPARED, OWN)

    assert told(short) == told(long)
    ids = short.get_span_context()
    if parent.get_span_context().is_valid:
        assert ids.trace_id == parent.get_span_context().trace_id
    if short.is_recording():
        assert ids.span_id not in (0, long.get_span_context().span_id)


def test_it_is_sent_as_the_long_way_s_is():
    tracer: Any = lean().get_tracer("test")
    with trace.use_span(tracer.start_span("request")):
        pair = [
            tracer.start_call("SELECT", SpanKind.CLIENT, PREPARED, OWN),
            tracer.start_span("SELECT", None, SpanKind.CLIENT, {**PREPARED, **OWN}),
        ]
    sent = []
    for span in pair:
        span._start_time = 1
        span.end(2)
        [read] = ScopeSpans.FromString(span.encoded()).spans
        read.span_id = b""
        sent.append(read)

    assert sent[0] == sent[1]


def test_a_tracer_that_is_switched_off_begins_none():
    tracer: Any = lean().get_tracer("test")
    around = tracer.start_span("request")
    with trace.use_span(around):
        tracer._known._tracer_config = type("Off", (), {"is_enabled": False})
        span = tracer.start_call("SELECT", SpanKind.CLIENT, PREPARED, OWN)

    assert not span.is_recording()
    assert span.get_span_context() == around.get_span_context()


@pytest.mark.parametrize(
    "add",
    [
        lambda span: span.set_attribute("error.type", "Gone"),
        lambda span: span.set_attributes({"error.type": "Gone"}),
        lambda span: span.set_plain("error.type", "Gone"),
        lambda span: span._attributes.update({"error.type": "Gone"}),
    ],
)
def test_what_one_call_is_told_besides_no_other_has(add):
    tracer: Any = lean().get_tracer("test")
    with trace.use_span(tracer.start_span("request")):
        one, other = (tracer.start_call("SELECT", SpanKind.CLIENT, PREPARED, OWN) for _ in range(2))
    add(one)

    assert dict(one.attributes) == {**PREPARED, **OWN, "error.type": "Gone"}
    assert dict(other.attributes) == {**PREPARED, **OWN}
    assert dict(OWN) == {names.THREAD_ID: 7}
    [read] = ScopeSpans.FromString(one.encoded()).spans
    assert {pair.key for pair in read.attributes} == {*PREPARED, *OWN, "error.type"}


@pytest.mark.parametrize("provider", [lean, TracerProvider])
@pytest.mark.parametrize("attributes", [PREPARED, dict(PREPARED)])
def test_each_call_has_the_thread_that_makes_it(provider, attributes):
    tracer = provider().get_tracer("test")
    calls = Calls(
        settled(tracer), Registry(Clock(), 9), Dropped(CollectedRecords(), Clock(), after_s=1.0)
    )
    made: list[tuple[int, Any]] = []

    def work() -> None:
        with trace.use_span(tracer.start_span("request")):
            made.append((threading.get_ident(), calls.begin("SELECT", attributes)))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
        thread.join()
    work()

    assert len(made) == 4
    for thread_id, span in made:
        assert dict(span.attributes) == {**PREPARED, names.THREAD_ID: thread_id}


def test_threads_that_come_and_go_are_not_kept_for_good(monkeypatch):
    monkeypatch.setattr("why504.probe.spans.calls._THREADS_KEPT", 2)
    idents = iter(range(100, 120))
    monkeypatch.setattr("why504.probe.spans.calls.get_ident", lambda: next(idents))
    tracer = lean().get_tracer("test")
    calls = Calls(
        settled(tracer), Registry(Clock(), 99), Dropped(CollectedRecords(), Clock(), after_s=1.0)
    )
    spans: list[Any] = [calls.begin("SELECT", PREPARED) for _ in range(20)]

    assert [span.attributes[names.THREAD_ID] for span in spans] == list(range(100, 120))
    assert all(isinstance(span, LeanSpan) for span in spans)
    assert len(calls._threads) <= 2
