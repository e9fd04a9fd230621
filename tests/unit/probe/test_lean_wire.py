"""What the lean encoder writes says the same as what OpenTelemetry's exporter writes.

Every property makes one span twice, by the SDK and by us, and compares the decoded messages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from why504.probe.lean.provider import LeanProvider
from why504.probe.lean.request import request_of
from why504.probe.lean.span import LeanSpan
from why504.probe.lean.spanwire import encode_scope
from why504.probe.telling.records import RecordSpan, encoded, readable

RESOURCE = Resource({"service.name": "shop", "process.pid": 7}, "https://schemas.test/1")
Doing = Callable[[trace.Tracer], trace.Span]

words = st.text(max_size=12)
names = st.text(min_size=1, max_size=12)
plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(2**63, 2**70),
    st.floats(),
    words,
    st.binary(max_size=8),
)
values = st.recursive(
    plain,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)),
    max_leaves=6,
)
attributes = st.dictionaries(words, values, max_size=6)
ids = st.tuples(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1))
states = st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), st.just("v"), max_size=2)
contexts = st.builds(
    lambda pair, remote, sampled, state: SpanContext(
        *pair, is_remote=remote, trace_flags=sampled, trace_state=TraceState(list(state.items()))
    ),
    ids,
    st.booleans(),
    st.sampled_from([TraceFlags(1), TraceFlags(3)]),
    states,
)
times = st.integers(1, 2**63 - 1)


class Counted(IdGenerator):
    """The same ids for both."""

    def __init__(self) -> None:
        self.last = 0

    def generate_trace_id(self) -> int:
        self.last += 1
        return self.last << 64

    def generate_span_id(self) -> int:
        self.last += 1
        return self.last


class Last(SpanProcessor):
    """Keeps the span that ended last."""

    ended: ReadableSpan

    def on_end(self, span: ReadableSpan) -> None:
        self.ended = span


def told_by(provider: TracerProvider, doing: Doing) -> ReadableSpan:
    provider.id_generator = Counted()
    kept = Last()
    provider.add_span_processor(kept)
    span = doing(provider.get_tracer("lib", "1.2", "https://schemas.test/2", {"a": 1}))
    span.end(5_000)
    return kept.ended


def by_the_sdk(doing: Doing) -> ExportTraceServiceRequest:
    return encode_spans([told_by(TracerProvider(resource=RESOURCE), doing)])


def by_us(doing: Doing) -> ExportTraceServiceRequest:
    span = told_by(LeanProvider(RESOURCE), doing)
    assert isinstance(span, LeanSpan)
    body = request_of([(encode_scope(span.instrumentation_scope), span.encoded())], RESOURCE)
    return ExportTraceServiceRequest.FromString(body)


def comparable(request: ExportTraceServiceRequest) -> bytes:
    # As bytes: a message with a NaN is not equal to itself.
    return request.SerializeToString(deterministic=True)


def assert_both_say_the_same(doing: Doing) -> None:
    assert comparable(by_us(doing)) == comparable(by_the_sdk(doing))


@given(attributes)
@example({"text": "đèn 💡 \x00", "half": "\ud800", "big": 2**64, "low": -(2**63), "zero": -0.0})
@example({"nan": float("nan"), "inf": float("-inf"), "none": None, "": 1, "no": [], "empty": {}})
@example({"one": 1, "true": True, "float": 1.0, "text": "1", "same": [True, 1, 1.0]})
@example({"object": object(), "list": [object(), {"k": object()}]})
def test_attributes_of_every_kind(told):
    assert_both_say_the_same(lambda tracer: tracer.start_span("s", attributes=told, start_time=1))


@given(attributes, attributes)
def test_attributes_that_are_set_later(first, later):
    def doing(tracer: trace.Tracer) -> trace.Span:
        span = tracer.start_span("s", start_time=1)
        span.set_attributes(first)
        for key, value in later.items():
            span.set_attribute(key, value)
        return span

    # An attribute that is set again keeps its place here and goes last there.
    ours, theirs = by_us(doing), by_the_sdk(doing)
    for request in (ours, theirs):
        [span] = request.resource_spans[0].scope_spans[0].spans
        told = sorted(span.attributes, key=lambda pair: pair.key)
        del span.attributes[:]
        span.attributes.extend(told)
    assert comparable(ours) == comparable(theirs)


@given(words, st.sampled_from(SpanKind), contexts, times)
def test_name_kind_parent_state_and_flags(name, kind, parent, start_ns):
    around = trace.set_span_in_context(NonRecordingSpan(parent))
    assert_both_say_the_same(
        lambda tracer: tracer.start_span(name, around, kind, start_time=start_ns)
    )


@given(st.lists(st.tuples(words, attributes, times), max_size=4))
def test_events(events):
    def doing(tracer: trace.Tracer) -> trace.Span:
        span = tracer.start_span("s", start_time=1)
        for event in events:
            span.add_event(*event)
        return span

    assert_both_say_the_same(doing)


@given(st.lists(st.tuples(contexts, attributes), max_size=3), st.tuples(contexts, attributes))
def test_links(first, later):
    def doing(tracer: trace.Tracer) -> trace.Span:
        links = [Link(context, dict(told)) for context, told in first]
        span = tracer.start_span("s", links=links, start_time=1)
        span.add_link(*later)
        return span

    assert_both_say_the_same(doing)


statuses = st.one_of(
    st.tuples(st.sampled_from(StatusCode), st.one_of(st.none(), words)),
    st.builds(lambda text: (Status(StatusCode.ERROR, text),), words),
    st.just((Status(StatusCode.OK),)),
)


@given(st.lists(statuses, max_size=4))
def test_the_status_that_counts(told):
    def doing(tracer: trace.Tracer) -> trace.Span:
        span = tracer.start_span("s", start_time=1)
        for status in told:
            span.set_status(*status)
        return span

    assert_both_say_the_same(doing)


LIMITS = {
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "3",
    "OTEL_SPAN_EVENT_COUNT_LIMIT": "2",
    "OTEL_SPAN_LINK_COUNT_LIMIT": "1",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": "1",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT": "1",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "4",
}


@pytest.mark.parametrize("least", ["0", "3"])
def test_limits_of_the_environment_and_what_they_drop(monkeypatch, least):
    for name, value in LIMITS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", least)
    other = SpanContext(5, 6, is_remote=True)

    def doing(tracer: trace.Tracer) -> trace.Span:
        told: dict[str, Any] = {"a": 1, "b": "longer than that", "c": ["longer", 2], "d": True}
        span = tracer.start_span("s", attributes=told, start_time=1)
        span.set_attribute("e", "longer")
        for number in range(4):
            span.add_event(f"event {number}", {"a": "longer", "b": 2}, 10 + number)
            span.add_link(other, {"a": "longer", "b": 2})
        return span

    assert_both_say_the_same(doing)
    [span] = by_us(doing).resource_spans[0].scope_spans[0].spans
    assert (span.dropped_events_count, span.dropped_links_count) == (2, 3)
    assert span.dropped_attributes_count == 5 - int(least)


@given(
    words,
    ids,
    st.one_of(st.none(), st.integers(1, 2**64 - 1)),
    st.sampled_from(SpanKind),
    st.one_of(st.none(), words),
    st.dictionaries(names, st.one_of(words, st.booleans(), st.floats(), st.lists(words))),
)
def test_a_record_is_sent_as_it_is_exported(name, pair, parent, kind, error, told):
    record = RecordSpan(name, *pair, parent, 10, 5, told, kind, error)
    scope = encode_scope(readable(record, RESOURCE).instrumentation_scope)

    ours = ExportTraceServiceRequest.FromString(request_of([(scope, encoded(record))], RESOURCE))

    assert comparable(ours) == comparable(encode_spans([readable(record, RESOURCE)]))


def test_spans_of_several_libraries_stay_with_their_library():
    provider, kept = LeanProvider(RESOURCE), []

    class Keep(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            kept.append(span)

    provider.add_span_processor(Keep())
    for number, library in enumerate(("one", "two", "one", "", "two")):
        provider.get_tracer(library).start_span(f"s{number}", start_time=number).end(number + 1)

    body = request_of(
        [(encode_scope(span.instrumentation_scope), span.encoded()) for span in kept], RESOURCE
    )

    assert comparable(ExportTraceServiceRequest.FromString(body)) == comparable(encode_spans(kept))


def test_values_that_are_equal_and_of_different_kinds_are_not_mixed_up():
    kept = []
    for value in (1, True, 1.0, "1", 0, False, 0.0, -0.0):
        for _ in range(2):
            span = told_by(
                LeanProvider(RESOURCE),
                lambda tracer, v=value: tracer.start_span("s", attributes={"k": v}),
            )
            assert isinstance(span, LeanSpan)
            body = request_of(
                [(encode_scope(span.instrumentation_scope), span.encoded())], RESOURCE
            )
            [out] = (
                ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans[0].spans
            )
            kept.append(str(out.attributes[0].value).strip())

    assert kept[::2] == kept[1::2]
    assert len(set(kept)) == 8
