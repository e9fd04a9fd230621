"""Threads that work for a message: whoever is done with it says so, and leaves nothing behind."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanContext, SpanKind

from why504.probe.app import carried
from why504.probe.app.carried import WORK, Carrying
from why504.probe.clock import Clock
from why504.probe.inflight import REQUEST, OpenSpan, Registry
from why504.probe.messaging import consumer
from why504.probe.messaging.consumer import Consumer
from why504.probe.safety import Guard
from why504.probe.spans.calls import Calls
from why504.probe.telling.dropped import Dropped
from why504.testing import CollectedRecords, settled


class Message:
    """Counts who works on it."""

    at_work = 0

    def begins(self) -> None:
        self.at_work += 1

    def ends(self) -> None:
        self.at_work -= 1


@pytest.fixture
def registry() -> Registry:
    return Registry(Clock(), 100)


@pytest.fixture
def message(registry) -> Iterator[Message]:
    """What the test works on, as the callback of a message does."""
    found, entry = Message(), OpenSpan.dropped(SpanContext(1, 2, False), SpanKind.CONSUMER)
    registry.open(entry)
    request, work = REQUEST.set(entry), WORK.set(found)
    carrying = Carrying(registry, Guard())
    carrying.attach()
    yield found
    carrying.detach()
    WORK.reset(work)
    REQUEST.reset(request)


def test_a_thread_that_has_run_is_gone_without_garbage_collection(message):
    seen = []
    gc.disable()
    try:
        thread = threading.Thread(target=lambda: seen.append(message.at_work))
        known = weakref.ref(thread)
        thread.start()
        thread.join()
        del thread
        assert known() is None
    finally:
        gc.enable()

    assert (seen, message.at_work) == ([1], 0)


def test_a_thread_that_can_not_start_works_on_nothing(message):
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    with pytest.raises(RuntimeError, match="once"):
        thread.start()

    assert message.at_work == 0
    assert "run" not in vars(thread)


def fails(_: Any) -> None:
    raise LookupError


def test_a_thread_is_done_though_an_error_of_ours_comes_between(message, monkeypatch):
    monkeypatch.setattr(carried, "nobody", fails)
    raised = []
    monkeypatch.setattr(threading, "excepthook", lambda told: raised.append(told.exc_type))
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()

    assert (raised, message.at_work) == ([LookupError], 0)


def test_a_message_is_over_though_an_error_of_ours_comes_between(registry, monkeypatch):
    provider, dropped = TracerProvider(), Dropped(CollectedRecords(), Clock(), 1.0)
    calls = Calls(settled(provider.get_tracer("test")), registry, dropped)
    watch = Consumer(Guard(), calls, registry)
    monkeypatch.setattr(consumer, "nobody", fails)
    told = SimpleNamespace(delivery_tag=7), SimpleNamespace(), b"x"
    channel = SimpleNamespace(is_open=True)
    deliveries: list[Any] = []

    def work() -> None:
        with watch._delivered(channel, "q", told, auto_ack=True):
            deliveries.extend(watch._deliveries.values())
            assert not deliveries[0].look()

    with pytest.raises(LookupError):
        work()

    assert deliveries[0].look()
    assert (REQUEST.get(), WORK.get()) == (None, None)
    assert trace.get_current_span() is trace.INVALID_SPAN
