"""What was seen reaches a receiver that is down, busy, wrong or strange, or is counted as lost."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from delivered import delivery_to
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from otlp_receiver import Receiver
from prometheus_client import CollectorRegistry

from why504.probe.telling.records import RecordSpan, readable
from why504.watch import delivery
from why504.watch.delivery import Delivery, QueuedSender

RESOURCE = Resource({"service.name": "postgresql", "service.instance.id": "postgresql@db:5432"})


@pytest.fixture
def receiver(free_port) -> Iterator[Receiver]:
    running = Receiver(free_port)
    yield running
    running.stop()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(delivery, "FIRST_RETRY_S", 0.02)
    monkeypatch.setattr(delivery, "SLOWEST_RETRY_S", 0.05)
    monkeypatch.setattr(delivery, "GATHER_S", 0.02)


def record(number: int, text: str = "") -> RecordSpan:
    return RecordSpan("hold x", number, number, None, 1_000, 2_000, {"db.query.text": text})


def spans(*numbers: int, text: str = "") -> list:
    return [readable(record(number, text), RESOURCE) for number in numbers]


def arrived(receiver: Receiver) -> list[int]:
    return [int.from_bytes(span.trace_id) for span in receiver.spans]


def counted(registry: CollectorRegistry, name: str, reason: str = "") -> float | None:
    labels = {"reason": reason} if reason else {}
    return registry.get_sample_value(f"why504_watch_{name}", labels)


def eventually(fact: Callable[[], object], within_s: float = 10) -> None:
    deadline_s = time.monotonic() + within_s
    while not fact():
        assert time.monotonic() < deadline_s, "did not come true in time"
        time.sleep(0.01)


class Running:
    """A delivery whose queue is sent meanwhile."""

    def __init__(self, to: Delivery) -> None:
        self.sender = QueuedSender(to, RESOURCE)
        self.stop = threading.Event()
        self._thread = threading.Thread(target=to.run, args=(self.stop,))

    def __enter__(self) -> Running:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._thread.join(timeout=10)
        assert not self._thread.is_alive()


def test_every_counter_is_there_at_0(registry):
    delivery_to(9, registry)

    told = {s.name: s.value for family in registry.collect() for s in family.samples
            if not s.name.endswith("_created")}  # fmt: skip
    assert set(told.values()) == {0}
    assert {name.removeprefix("why504_watch_") for name in told} == {
        "sent_spans_total", "failed_requests_total", "dropped_spans_total", "queued_spans",
        "unsent_age_seconds",
    }  # fmt: skip


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_a_busy_receiver_is_asked_again_until_it_takes_them(receiver, registry, status):
    receiver.answers = [status, status]

    assert delivery_to(receiver.port, registry).deliver(spans(1, 2), threading.Event())

    assert arrived(receiver) == [1, 2]
    assert counted(registry, "failed_requests_total", "busy") == 2
    assert counted(registry, "sent_spans_total") == 2


def test_as_long_as_a_receiver_asks_for_it_is_left_alone(receiver):
    receiver.answers = [429]
    receiver.told = {"Retry-After": "0.4"}
    begun_s = time.monotonic()

    delivery_to(receiver.port).deliver(spans(1), threading.Event())

    assert 0.4 <= time.monotonic() - begun_s < 10
    assert arrived(receiver) == [1]


def test_a_receiver_that_asks_for_no_pause_is_not_hammered(receiver, monkeypatch):
    monkeypatch.setattr(delivery, "FIRST_RETRY_S", 0.1)
    monkeypatch.setattr(delivery, "SLOWEST_RETRY_S", 0.1)
    receiver.answers = [429] * 1000
    receiver.told = {"Retry-After": "0"}
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()

    assert not delivery_to(receiver.port).deliver(spans(1), stop)
    assert 2 <= receiver.begun <= 11


@pytest.mark.parametrize("told", ["nan", "-3", "soon", "Fri, 31 Dec 2027 23:59:59 GMT", ""])
def test_a_strange_retry_after_is_no_reason_to_wait(receiver, told):
    receiver.answers = [503]
    receiver.told = {"Retry-After": told}
    begun_s = time.monotonic()

    assert delivery_to(receiver.port).deliver(spans(1), threading.Event())
    assert time.monotonic() - begun_s < 10


@pytest.mark.parametrize("status", [400, 422, 500, 501])
def test_what_a_receiver_refuses_is_never_sent_again(receiver, registry, status):
    receiver.answers = [status]

    assert delivery_to(receiver.port, registry).deliver(spans(1, 2), threading.Event())

    assert receiver.begun == 1
    assert counted(registry, "dropped_spans_total", "refused") == 2
    assert counted(registry, "sent_spans_total") == 0


@pytest.mark.parametrize("status", [302, 401, 403, 404, 405, 415])
def test_a_wrong_address_or_account_costs_no_span(receiver, registry, status):
    receiver.answers = [status, status]

    assert delivery_to(receiver.port, registry).deliver(spans(1), threading.Event())

    assert arrived(receiver) == [1]
    assert counted(registry, "failed_requests_total", "misdirected") == 2


def test_the_page_of_a_proxy_is_no_receipt(receiver, registry):
    receiver.told, receiver.body = {"Content-Type": "text/html; charset=utf-8"}, b"<h1>Sign in</h1>"
    stop = threading.Event()
    stop.set()

    assert not delivery_to(receiver.port, registry).deliver(spans(1), stop)
    assert counted(registry, "sent_spans_total") == 0


def test_spans_that_a_receiver_leaves_out_of_a_request_are_counted(receiver, registry):
    told = ExportTraceServiceResponse()
    told.partial_success.rejected_spans = 2
    receiver.told = {"Content-Type": "application/x-protobuf"}
    receiver.body = told.SerializeToString()

    assert delivery_to(receiver.port, registry).deliver(spans(1, 2, 3), threading.Event())

    assert counted(registry, "sent_spans_total") == 1
    assert counted(registry, "dropped_spans_total", "rejected") == 2
    assert receiver.begun == 1


@pytest.mark.parametrize("body", [b"\xff\xff\xff", b"{}", b"x" * 100_000])
def test_a_receipt_that_can_not_be_read_is_a_receipt(receiver, registry, body):
    receiver.told, receiver.body = {"Content-Type": "application/x-protobuf"}, body

    assert delivery_to(receiver.port, registry).deliver(spans(1), threading.Event())

    assert counted(registry, "sent_spans_total") == 1
    assert receiver.begun == 1


def test_whoever_speaks_no_http_is_asked_again(registry, free_port):
    with socket.create_server(("127.0.0.1", free_port)) as listener:
        to = delivery_to(free_port, registry)
        stop = threading.Event()
        thread = threading.Thread(target=to.deliver, args=(spans(1), stop))
        thread.start()
        for _ in range(2):
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
        stop.set()
        thread.join(timeout=10)

    assert (counted(registry, "failed_requests_total", "unreachable") or 0) >= 2
    assert counted(registry, "sent_spans_total") == 0


def test_no_request_is_over_a_megabyte_and_nothing_is_left_out(receiver):
    assert delivery_to(receiver.port).deliver(
        spans(*range(1, 501), text="x" * 10_000), threading.Event()
    )

    assert max(receiver.sizes) <= 1_000_000
    assert arrived(receiver) == list(range(1, 501))


def test_one_span_that_no_request_can_hold_does_not_stop_the_others(receiver, registry):
    batch = [*spans(1), *spans(2, text="x" * 1_100_000), *spans(3)]

    assert delivery_to(receiver.port, registry).deliver(batch, threading.Event())

    assert arrived(receiver) == [1, 3]
    assert counted(registry, "dropped_spans_total", "too_large") == 1


def test_what_is_too_large_for_a_receiver_is_sent_in_pieces(receiver, registry):
    receiver.answers = [413]

    assert delivery_to(receiver.port, registry).deliver(spans(1, 2, 3, 4), threading.Event())

    assert arrived(receiver) == [1, 2, 3, 4]
    assert receiver.begun == 3


def test_records_wait_for_a_receiver_that_is_down_and_arrive_as_they_are(free_port, registry):
    to = delivery_to(free_port, registry)
    with Running(to) as running:
        for number in range(1, 4):
            running.sender.send(record(number))
        eventually(lambda: (counted(registry, "failed_requests_total", "unreachable") or 0) >= 2)
        assert counted(registry, "queued_spans") == 3
        assert (counted(registry, "unsent_age_seconds") or 0) > 0
        receiver = Receiver(free_port)
        try:
            eventually(lambda: len(receiver.spans) == 3)
            eventually(lambda: counted(registry, "queued_spans") == 0)
        finally:
            receiver.stop()

    one = receiver.spans[0]
    assert (one.name, int.from_bytes(one.span_id)) == ("hold x", 1)
    assert (one.start_time_unix_nano, one.end_time_unix_nano) == (1_000, 2_000)
    assert counted(registry, "unsent_age_seconds") == 0


def test_a_full_queue_loses_the_oldest_counts_them_and_blocks_nobody(
    free_port, registry, monkeypatch
):
    monkeypatch.setattr(delivery, "QUEUE_LIMIT", 10)
    to = delivery_to(free_port, registry)
    sender = QueuedSender(to, RESOURCE)
    begun_s = time.monotonic()
    for number in range(1, 26):
        sender.send(record(number))

    assert time.monotonic() - begun_s < 1
    assert counted(registry, "dropped_spans_total", "queue_full") == 15
    receiver = Receiver(free_port)
    with Running(to):
        eventually(lambda: len(receiver.spans) == 10)
    receiver.stop()
    assert arrived(receiver) == list(range(16, 26))


def test_what_is_queued_leaves_when_it_is_time_to_stop(receiver, monkeypatch):
    monkeypatch.setattr(delivery, "GATHER_S", 60.0)
    with Running(delivery_to(receiver.port)) as running:
        running.sender.send(record(1))

    assert arrived(receiver) == [1]


def test_a_dead_receiver_does_not_delay_the_end_and_what_is_lost_is_counted(free_port, registry):
    begun_s = time.monotonic()
    with Running(delivery_to(free_port, registry)) as running:
        running.sender.send(record(1))
        eventually(lambda: counted(registry, "failed_requests_total", "unreachable"))

    assert time.monotonic() - begun_s < 5
    assert counted(registry, "dropped_spans_total", "stopped") == 1
