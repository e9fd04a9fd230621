"""The lean provider stands in for the SDK's: samplers, processors, parents, other libraries."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import weakref
from contextlib import suppress
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags

from why504 import names
from why504.probe.lean.provider import LeanProvider
from why504.probe.lean.span import LeanSpan
from why504.probe.lean.wire import Prepared
from why504.probe.spans.tracing import OwnProvider, own_resource

PARENT = SpanContext(2**127 + 5, 7, is_remote=True, trace_flags=TraceFlags(1))
UNSAMPLED = SpanContext(2**127 + 5, 7, is_remote=True, trace_flags=TraceFlags(0))


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def lean(exporter) -> LeanProvider:
    made = LeanProvider(Resource({"service.name": "shop"}))
    made.add_span_processor(SimpleSpanProcessor(exporter))
    return made


def within(parent: SpanContext) -> Any:
    return trace.set_span_in_context(NonRecordingSpan(parent))


@pytest.mark.parametrize(
    ("sampler", "argument", "root", "sampled", "unsampled"),
    [
        ("parentbased_always_on", "", True, True, False),
        ("parentbased_always_off", "", False, True, False),
        ("always_on", "", True, True, True),
        ("always_off", "", False, False, False),
        ("traceidratio", "0.0", False, False, False),
        ("parentbased_traceidratio", "0.0", False, True, False),
        ("parentbased_traceidratio", "1.0", True, True, False),
    ],
)
def test_the_sampler_of_the_environment_decides(
    monkeypatch, sampler, argument, root, sampled, unsampled
):
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", argument)
    tracer = LeanProvider(Resource({})).get_tracer("test")

    spans = [tracer.start_span("s", around) for around in (None, within(PARENT), within(UNSAMPLED))]
    decided = [span.get_span_context().trace_flags.sampled for span in spans]
    assert decided == [span.is_recording() for span in spans] == [root, sampled, unsampled]
    assert all(span.get_span_context().is_valid for span in spans)
    assert {span.get_span_context().trace_id for span in spans[1:]} == {PARENT.trace_id}


def test_a_switched_off_sdk_makes_no_spans(monkeypatch):
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")

    assert not LeanProvider(Resource({})).get_tracer("test").start_span("s").is_recording()


def test_one_library_has_one_tracer(lean):
    assert lean.get_tracer("lib", "1") is lean.get_tracer("lib", "1")
    assert lean.get_tracer("lib", "1") is not lean.get_tracer("lib", "2")


def test_spans_are_the_sdk_s_to_whoever_asks(lean, exporter):
    tracer = lean.get_tracer("lib", "1")
    with tracer.start_as_current_span("outer") as outer, tracer.start_as_current_span("inner"):
        assert isinstance(outer, Span)
        assert isinstance(outer, ReadableSpan)
    assert isinstance(lean, TracerProvider)

    inner, ended = exporter.get_finished_spans()
    assert inner.parent == ended.context
    assert ended.resource.attributes == {"service.name": "shop"}
    assert ended.instrumentation_scope.name == "lib"
    assert '"name": "outer"' in ended.to_json()


def test_an_exception_that_leaves_the_block_is_told(lean, exporter):
    tracer = lean.get_tracer("lib")
    with pytest.raises(KeyError), tracer.start_as_current_span("s"):
        raise KeyError("gone")
    with pytest.raises(KeyError), tracer.start_span("manual", record_exception=False):
        raise KeyError("gone")

    told, manual = exporter.get_finished_spans()
    assert told.status.status_code is StatusCode.ERROR
    assert told.status.description == "KeyError: 'gone'"
    [event] = told.events
    assert event.attributes["exception.type"] == "KeyError"
    assert "raise KeyError" in event.attributes["exception.stacktrace"]
    assert (manual.events, manual.status.status_code) == ((), StatusCode.ERROR)


def test_a_block_may_leave_the_end_of_its_span_and_what_failed_to_others(lean, exporter):
    tracer = lean.get_tracer("lib")
    with tracer.start_as_current_span("kept", end_on_exit=False) as kept:
        pass
    with (
        pytest.raises(KeyError),
        tracer.start_as_current_span("s", record_exception=False, set_status_on_exception=False),
    ):
        raise KeyError("gone")
    with pytest.raises(asyncio.CancelledError), tracer.start_as_current_span("cancelled"):
        raise asyncio.CancelledError

    assert kept.is_recording()
    for told in exporter.get_finished_spans():
        assert (told.events, told.status.status_code) == ((), StatusCode.UNSET)
    assert [told.name for told in exporter.get_finished_spans()] == ["s", "cancelled"]
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_functions_of_both_kinds_are_decorated_with_a_span_a_call(lean, exporter):
    tracer = lean.get_tracer("lib")

    @tracer.start_as_current_span("plain", attributes={"a": 1})
    def plain(number: int) -> int:
        return number + trace.get_current_span().is_recording()

    @tracer.start_as_current_span("awaited")
    async def awaited() -> str:
        await asyncio.sleep(0.01)
        return trace.get_current_span().name

    assert [plain(1), plain(2)] == [2, 3]
    assert asyncio.run(awaited()) == "awaited"
    told = exporter.get_finished_spans()
    assert [span.name for span in told] == ["plain", "plain", "awaited"]
    assert len({span.context.span_id for span in told}) == 3
    assert told[2].end_time - told[2].start_time > 5_000_000


def test_a_span_ended_by_an_exception_is_told_of_the_same_as_by_the_sdk(lean, exporter):
    theirs = InMemorySpanExporter()
    stock = TracerProvider()
    stock.add_span_processor(SimpleSpanProcessor(theirs))
    for provider in (lean, stock):
        with (
            suppress(ValueError),
            provider.get_tracer("lib").start_as_current_span(
                "s", within(PARENT), SpanKind.CLIENT, {"a": 1}
            ) as span,
        ):
            span.set_attribute("b", (1, 2))
            raise ValueError("no")

    [[ours], [stocks]] = exporter.get_finished_spans(), theirs.get_finished_spans()
    assert ours.parent == stocks.parent
    assert (ours.kind, dict(ours.attributes)) == (stocks.kind, dict(stocks.attributes))
    assert ours.status.description == stocks.status.description
    assert [e.name for e in ours.events] == [e.name for e in stocks.events]


def test_a_span_that_ended_does_not_change(lean, exporter, caplog):
    span = lean.get_tracer("lib").start_span("s", attributes={"a": 1})
    span.end(10)
    span.set_attribute("b", 2)
    span.set_attributes({"c": 3})
    span.add_event("late")
    span.add_link(PARENT)
    span.set_status(StatusCode.ERROR)
    span.update_name("other")
    span.end(20)

    [told] = exporter.get_finished_spans()
    assert (told.name, told.end_time, dict(told.attributes)) == ("s", 10, {"a": 1})
    assert (told.events, told.links, told.status.status_code) == ((), (), StatusCode.UNSET)
    assert not span.is_recording()
    assert len(caplog.records) == 7


def test_a_processor_may_add_to_a_span_that_starts(lean, exporter):
    class Adds(SpanProcessor):
        def on_start(self, span: Span, parent_context: Any = None) -> None:
            span.set_attribute("user", "7")

    lean.add_span_processor(Adds())
    lean.get_tracer("lib").start_span("s").end()

    assert exporter.get_finished_spans()[0].attributes == {"user": "7"}


def redact_item(span: Any) -> None:
    span._attributes["card"] = "***"


def redact_bounded(span: Any) -> None:
    span._attributes._dict["card"] = "***"


def redact_all(span: Any) -> None:
    span._attributes = {**span.attributes, "card": "***"}


@pytest.mark.parametrize("redact", [redact_item, redact_bounded, redact_all])
@pytest.mark.parametrize("prepared", [True, False])
def test_what_a_processor_redacts_as_a_span_ends_is_sent_redacted(redact, prepared):
    class Redacts(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            redact(span)

    class Sends(SpanProcessor):
        told_last = True

        def on_end(self, span: ReadableSpan) -> None:
            assert isinstance(span, LeanSpan)
            sent.append(span.encoded())

    lean, sent = LeanProvider(Resource({})), []
    lean.add_span_processor(Sends())
    lean.add_span_processor(Redacts())
    told = {"card": "4111", "user": "7"}
    attributes = Prepared(told) if prepared else told
    span = lean.get_tracer("lib").start_span("s", attributes=attributes)
    span.end()

    assert dict(span.attributes) == {"card": "***", "user": "7"}
    assert b"***" in sent[0]
    assert b"4111" not in sent[0]


def test_what_the_sdk_keeps_under_private_names_is_found_there(lean, exporter):
    span = lean.get_tracer("lib", "1").start_span("s", attributes={"a": 1}, links=[None])
    copied = span._readable_span()
    with pytest.warns(DeprecationWarning, match="instrumentation_scope"):
        assert span.instrumentation_info.name == "lib"
    span.end()

    assert (copied.name, dict(copied.attributes)) == ("s", {"a": 1})
    assert copied.resource.attributes == {"service.name": "shop"}
    assert copied.instrumentation_scope == span.instrumentation_scope


def test_an_exporter_in_a_batch_gets_spans_that_nothing_is_missing_of(exporter):
    lean = LeanProvider(Resource({"service.name": "shop"}))
    lean.add_span_processor(BatchSpanProcessor(exporter))
    span = lean.get_tracer("lib").start_span("s", attributes={"list": [1, 2], "o": b"x"})
    span.add_event("e", {"k": "v"})
    span.end()
    assert lean.force_flush()

    [told] = exporter.get_finished_spans()
    assert told.attributes == {"list": (1, 2), "o": b"x"}
    assert told.events[0].attributes == {"k": "v"}
    lean.shutdown()


def test_a_processor_that_was_removed_hears_nothing_more(lean, exporter):
    heard = []

    class Hears(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            heard.append(span.name)

    processor = Hears()
    lean.add_span_processor(processor)
    lean.get_tracer("lib").start_span("one").end()
    lean.remove_span_processor(processor)
    lean.get_tracer("lib").start_span("two").end()

    assert heard == ["one"]
    assert len(exporter.get_finished_spans()) == 2


def test_a_long_chain_of_parents_keeps_nobody_alive():
    tracer = LeanProvider(Resource({})).get_tracer("lib")
    first = span = tracer.start_span("first")
    for _ in range(3):
        span = tracer.start_span("next", trace.set_span_in_context(span))
    kept = weakref.ref(first)
    del first
    gc.collect()

    assert kept() is None
    assert span.is_recording()


def test_a_lean_provider_says_who_it_is_unless_the_environment_does(monkeypatch):
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "host.name=theirs")
    made = OwnProvider(own_resource())

    told = made.resource.attributes
    assert (told["service.name"], told["host.name"]) == ("shop", "theirs")
    assert told[names.PROCESS_PID] == os.getpid()
    assert isinstance(made.get_tracer("x").start_span("s"), LeanSpan)


FORKS = """
import os
from opentelemetry.sdk.resources import Resource
from why504 import names
from why504.probe.spans.tracing import OwnProvider, own_resource

made = OwnProvider(own_resource())
span = made.get_tracer("x").start_span("s")
ours = dict(made.resource.attributes)
pid = os.fork()
if pid == 0:
    told = span.resource.attributes
    other = told[names.SERVICE_INSTANCE] != ours[names.SERVICE_INSTANCE]
    mine = told["host.name"] == "theirs" and told[names.PROCESS_PID] == os.getpid()
    os._exit(7 if other and mine else 1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
assert made.resource.attributes == ours
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked here")
def test_a_forked_process_is_an_instance_of_its_own():
    env = {**os.environ, "OTEL_RESOURCE_ATTRIBUTES": "host.name=theirs"}
    done = subprocess.run([sys.executable, "-c", FORKS], check=False, timeout=60, env=env)

    assert done.returncode == 0
