"""Messages of pika's blocking client: one span each, from the callback until nobody works on it."""

from __future__ import annotations

import functools
import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pika
import pytest

import why504
from why504 import names

_numbers = itertools.count(1)
_TRACE = "0af7651916cd43dd8448eb211c80319c"
_CONSUMER = 5
pytestmark = pytest.mark.rabbitmq


@contextmanager
def consuming(url: str, begin: Callable[[Any, Any, str], None]) -> Iterator[Callable[..., None]]:
    """A consumer in a thread of its own, as programs have it; gives what sends it a message."""
    queue = f"consumer.{next(_numbers)}"
    ready, stop = threading.Event(), threading.Event()

    def run() -> None:
        with pika.BlockingConnection(pika.URLParameters(url)) as connection:
            channel = connection.channel()
            channel.queue_declare(queue, auto_delete=True)
            begin(connection, channel, queue)
            ready.set()
            while not stop.is_set():
                connection.process_data_events(0.05)

    def send(body: bytes = b"{}", **headers: str) -> None:
        with pika.BlockingConnection(pika.URLParameters(url)) as connection:
            properties = pika.BasicProperties(headers=headers, message_id="m-1")
            connection.channel().basic_publish("", queue, body, properties)

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(20)
    try:
        yield send
    finally:
        stop.set()
        thread.join(20)


@pytest.fixture
def probe(settings) -> Iterator[Any]:
    watching = why504.instrument(None, settings=settings)
    yield watching
    watching.shutdown()


def of_messages(collector: Any) -> list[Any]:
    return [
        s for s in list(collector.spans) if s.kind == _CONSUMER and names.KIND not in s.attributes
    ]


def test_a_message_is_a_span_of_its_senders_trace(rabbitmq, collector, probe):
    def begin(_connection: Any, channel: Any, queue: str) -> None:
        def work(channel: Any, method: Any, _properties: Any, _body: bytes) -> None:
            channel.basic_ack(method.delivery_tag)

        channel.basic_consume(queue, work)

    with consuming(rabbitmq.url, begin) as send:
        send(traceparent=f"00-{_TRACE}-b7ad6b7169203331-01")
        (span,) = collector.wait_for(lambda: of_messages(collector))
    assert (span.trace_id, span.parent_id) == (_TRACE, "b7ad6b7169203331")
    told = span.attributes
    assert told["messaging.operation.type"] == "process"
    assert told["messaging.message.id"] == "m-1"
    assert span.name == f"process {told['messaging.destination.name']}"


def test_a_message_that_a_thread_works_on_is_open_at_the_threads_line(rabbitmq, collector, probe):
    go, acknowledged = threading.Event(), threading.Event()
    threads = ThreadPoolExecutor(1)

    def work(connection: Any, channel: Any, tag: int) -> None:
        go.wait(20)  # here
        ack = functools.partial(channel.basic_ack, tag)
        connection.add_callback_threadsafe(lambda: (ack(), acknowledged.set()))

    def begin(connection: Any, channel: Any, queue: str) -> None:
        def hand_over(channel: Any, method: Any, _properties: Any, _body: bytes) -> None:
            threads.submit(work, connection, channel, method.delivery_tag)

        channel.basic_consume(queue, on_message_callback=hand_over)

    with consuming(rabbitmq.url, begin) as send, threads:
        send()
        snapshot = collector.wait_for(
            lambda: [s for s in collector.of_kind("snapshot") if "process" in s.name]
        )[-1]
        assert not of_messages(collector)
        go.set()
        assert acknowledged.wait(20)
        collector.wait_for(lambda: of_messages(collector))
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    line = next(n for n, text in enumerate(lines, 1) if text.endswith("# here"))
    assert snapshot.attributes[names.CODE_LINE] == line


@pytest.mark.parametrize("auto_ack", [True, False])
def test_messages_of_a_generator_are_spans_too(rabbitmq, collector, probe, auto_ack):
    queue = f"generated.{next(_numbers)}"
    seen = []
    with pika.BlockingConnection(pika.URLParameters(rabbitmq.url)) as connection:
        channel = connection.channel()
        channel.queue_declare(queue, auto_delete=True)
        for body in (b"1", b"2"):
            channel.basic_publish("", queue, body)
        for method, _, body in channel.consume(queue, auto_ack, inactivity_timeout=2):
            seen.append(body)
            if method and not auto_ack:
                channel.basic_ack(method.delivery_tag)
            if len(seen) == 3:
                break
        channel.cancel()
    assert seen == [b"1", b"2", None]
    collector.wait_for(lambda: len(of_messages(collector)) == 2)


def test_what_a_callback_raises_reaches_the_program_and_is_told(rabbitmq, collector, probe):
    queue = f"raising.{next(_numbers)}"
    with pika.BlockingConnection(pika.URLParameters(rabbitmq.url)) as connection:
        channel = connection.channel()
        channel.queue_declare(queue, auto_delete=True)
        channel.basic_publish("", queue, b"x")

        def work(*_: Any) -> None:
            raise LookupError

        channel.basic_consume(queue, work, auto_ack=True)
        with pytest.raises(LookupError):
            channel.start_consuming()
    (span,) = collector.wait_for(lambda: of_messages(collector))
    assert span.attributes["error.type"] == "LookupError"


def test_pika_gets_its_own_methods_back(settings):
    channel = sys.modules["pika.adapters.blocking_connection"].BlockingChannel
    before = channel.basic_consume, channel.consume, channel.basic_ack, ThreadPoolExecutor.submit
    watching = why504.instrument(None, settings=settings)
    assert channel.basic_consume is not before[0]
    watching.shutdown()
    after = channel.basic_consume, channel.consume, channel.basic_ack, ThreadPoolExecutor.submit
    assert after == before
