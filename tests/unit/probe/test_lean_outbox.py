"""The thread that sends: real receivers, dead ones, slow ones, and processes that fork."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import SpanKind

from tests.otlp_receiver import Receiver
from why504.probe.lean import waiting
from why504.probe.lean.outbox import FLUSH_S, PATIENCE_S, Outbox
from why504.probe.lean.spanwire import UNSET, encode_scope, encode_span
from why504.probe.lean.target import EXPORT_TIMEOUT_S, target_of
from why504.probe.lean.wire import encode_attributes

SCOPE = encode_scope(None)


def span(number: int, attributes: bytes = b"") -> bytes:
    return encode_span("s", SpanKind.INTERNAL, 1, number, None, 1, 2, attributes, UNSET)


def numbers(receiver: Receiver) -> list[int]:
    return [int.from_bytes(one.span_id) for one in list(receiver.spans)]


def until(happened: Callable[[], object], timeout_s: float = 20.0) -> None:
    end_s = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < end_s, "it did not happen"
        time.sleep(0.01)


class Counted:
    """An outbox, and what it said was refused and lost."""

    def __init__(self, port: int) -> None:
        self.failed: list[int] = []
        self.lost = 0
        self.box = Outbox(
            f"http://127.0.0.1:{port}",
            lambda: Resource({"service.name": "shop"}),
            on_failure=self.failed.append,
            on_lost=self._lose,
        )

    def _lose(self, spans: int) -> None:
        self.lost += spans


@pytest.fixture
def receiver(free_port) -> Iterator[Receiver]:
    running = Receiver(free_port)
    yield running
    running.stop()


@pytest.fixture
def counted(free_port) -> Iterator[Counted]:
    made = Counted(free_port)
    yield made
    made.box.stop()


def test_what_is_taken_arrives_by_itself_and_in_order(receiver, counted):
    for number in range(1, 1501):
        counted.box.take((SCOPE, span(number)))

    until(lambda: len(receiver.spans) == 1500)
    assert numbers(receiver) == [*range(1, 1501)]
    assert (counted.failed, counted.lost) == ([], 0)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_is_refused_for_now_is_sent_again(receiver, counted, status):
    receiver.answers = [status, status]
    counted.box.take((SCOPE, span(1)))

    until(lambda: receiver.spans)
    assert numbers(receiver) == [1]
    assert (counted.failed, counted.lost) == ([1, 1], 0)


def test_a_receiver_is_left_alone_for_as_long_as_it_asks(receiver, counted):
    receiver.answers, receiver.told = [503], {"Retry-After": "2"}
    counted.box.take((SCOPE, span(1)))
    until(lambda: receiver.begun == 1)
    began_s = time.monotonic()

    until(lambda: receiver.spans)
    assert time.monotonic() - began_s > 1.9


@pytest.mark.parametrize("status", [400, 404, 413])
def test_what_is_refused_for_good_is_lost_and_counted_and_the_rest_goes_on(
    receiver, counted, status
):
    receiver.answers = [status]
    counted.box.take((SCOPE, span(1)))
    until(lambda: counted.lost)
    counted.box.take((SCOPE, span(2)))

    until(lambda: receiver.spans)
    assert numbers(receiver) == [2]
    assert (counted.failed, counted.lost) == ([1], 1)


def test_a_receiver_that_comes_back_gets_what_waited(free_port, counted):
    counted.box.take((SCOPE, span(1)))
    until(lambda: counted.failed)
    counted.box.take((SCOPE, span(2)))
    running = Receiver(free_port)
    try:
        until(lambda: len(running.spans) == 2)
    finally:
        running.stop()
    assert (numbers(running), counted.lost) == ([1, 2], 0)


def test_the_oldest_are_dropped_and_counted_when_too_many_wait(receiver, counted, monkeypatch):
    monkeypatch.setattr(waiting, "QUEUE_SPANS", 100)
    receiver.delay_s = 0.5
    counted.box.take((SCOPE, span(1)))
    until(lambda: receiver.begun)
    for number in range(2, 302):
        counted.box.take((SCOPE, span(number)))

    until(lambda: len(receiver.spans) == 101)
    assert numbers(receiver) == [1, *range(202, 302)]
    assert counted.lost == 200


def test_the_oldest_are_dropped_and_counted_when_they_are_too_large(counted, monkeypatch):
    monkeypatch.setattr(waiting, "QUEUE_BYTES", 50_000)
    for number in range(1, 11):
        counted.box.take((SCOPE, span(number, bytes(10_000))))

    assert counted.lost >= 5


def test_a_request_is_no_larger_than_gateways_take(receiver, counted):
    filler = encode_attributes({"filler": "x" * 20_000})
    for number in range(1, 201):
        counted.box.take((SCOPE, span(number, filler)))

    counted.box.flush()
    until(lambda: len(receiver.spans) == 200)
    assert numbers(receiver) == [*range(1, 201)]
    assert len(receiver.sizes) >= 4
    assert max(receiver.sizes) < 1_000_000


def test_flush_returns_once_it_was_taken(receiver, counted):
    counted.box.take((SCOPE, span(1)))
    counted.box.flush()

    assert numbers(receiver) == [1]


def test_what_waits_at_an_exit_is_sent_and_what_comes_later_is_counted(receiver, counted):
    counted.box.take((SCOPE, span(1)))
    counted.box.stop()
    counted.box.take((SCOPE, span(2)))

    assert (numbers(receiver), counted.lost) == ([1], 1)


def test_a_dead_collector_delays_no_exit_and_what_waited_is_counted(free_port, counted):
    counted.box.take((SCOPE, span(1)))
    until(lambda: counted.failed)
    counted.box.take((SCOPE, span(2)))
    began_s = time.monotonic()
    counted.box.stop()

    assert time.monotonic() - began_s < 3
    assert counted.lost == 2


def test_a_collector_that_never_answers_delays_no_exit():
    with socket.create_server(("127.0.0.1", 0)) as black_hole:
        counted = Counted(black_hole.getsockname()[1])
        counted.box.take((SCOPE, span(1)))
        accepted, _ = black_hole.accept()
        began_s = time.monotonic()
        counted.box.stop()
        stopping_s = time.monotonic() - began_s
        accepted.close()

    assert stopping_s < 4
    assert counted.lost == 1


def test_whom_a_flush_waited_for_in_vain_an_exit_does_not_wait_for_again():
    with socket.create_server(("127.0.0.1", 0)) as black_hole:
        counted = Counted(black_hole.getsockname()[1])
        counted.box.take((SCOPE, span(1)))
        accepted, _ = black_hole.accept()
        counted.box.flush()
        began_s = time.monotonic()
        counted.box.stop()
        stopping_s = time.monotonic() - began_s
        accepted.close()

    assert stopping_s < PATIENCE_S * 0.9
    assert counted.lost == 1


def test_a_collector_that_answers_again_after_a_late_flush_gets_what_waits_at_exit(
    receiver, counted
):
    receiver.delay_s = FLUSH_S + 0.4
    counted.box.take((SCOPE, span(1)))
    until(lambda: receiver.begun)
    counted.box.flush()
    receiver.delay_s = 0.0
    counted.box.take((SCOPE, span(2)))
    until(lambda: 2 in numbers(receiver))
    counted.box.take((SCOPE, span(3)))
    counted.box.stop()

    assert numbers(receiver) == [1, 2, 3]
    assert counted.lost == 0


def test_a_flush_while_a_request_goes_nowhere_waits_no_longer_than_for_one():
    with socket.create_server(("127.0.0.1", 0)) as black_hole:
        counted = Counted(black_hole.getsockname()[1])
        counted.box.take((SCOPE, span(1)))
        accepted, _ = black_hole.accept()
        time.sleep(EXPORT_TIMEOUT_S / 2)
        began_s = time.monotonic()
        counted.box.flush()
        flushing_s = time.monotonic() - began_s
        accepted.close()
        counted.box.stop()

    assert FLUSH_S / 3 < flushing_s < FLUSH_S * 1.3


def test_one_connection_is_kept_and_one_that_was_closed_meanwhile_is_no_failure(free_port):
    connections, bodies = [], []

    class Once(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            connections.append(self.client_address)
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()
            self.close_connection = len(bodies) == 2

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", free_port), Once)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    counted = Counted(free_port)
    try:
        for number in (1, 2, 3, 4):
            counted.box.take((SCOPE, span(number)))
            counted.box.flush()
    finally:
        counted.box.stop()
        server.shutdown()
        server.server_close()
        thread.join()

    assert len(bodies) == 4
    assert connections[0] == connections[1]
    assert connections[1] != connections[2]
    assert counted.failed == []


def test_headers_and_compression_of_the_environment_are_used(receiver, free_port, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%20b,authorization=Bearer%20t")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip")
    bodies = []
    monkeypatch.setattr(
        "tests.otlp_receiver._spans",
        lambda body: bodies.append(body) or [],
    )
    counted = Counted(free_port)
    counted.box.take((SCOPE, span(1)))
    counted.box.stop()

    [heard] = receiver.heard
    assert (heard["x-tenant"], heard["authorization"]) == ("a b", "Bearer t")
    assert heard["content-encoding"] == "gzip"
    [group] = ExportTraceServiceRequest.FromString(bodies[0]).resource_spans
    assert group.resource.attributes[0].value.string_value == "shop"


STACK = encode_attributes(
    {"code.stacktrace": "\n".join(f'File "a.py", line {n}' for n in range(90))}
)


@pytest.mark.parametrize(
    ("told", "attributes", "packed"),
    [("", STACK, True), ("", b"", False), ("none", STACK, False), ("zstd", STACK, True)],
)
def test_spans_with_stacks_are_packed_unless_that_is_forbidden(
    receiver, free_port, monkeypatch, told, attributes, packed
):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", told)
    counted = Counted(free_port)
    for number in range(1, 21):
        counted.box.take((SCOPE, span(number, attributes)))
    counted.box.stop()

    assert numbers(receiver) == list(range(1, 21))
    assert [heard.get("content-encoding") == "gzip" for heard in receiver.heard] == [packed]
    assert (sum(receiver.sizes) < 20 * len(attributes) / 5) == packed


@pytest.mark.parametrize(
    ("told", "timeout_s"), [("", 3.0), ("7.5", 7.5), ("soon", 3.0), ("-1", 3.0)]
)
def test_the_timeout_of_the_environment_is_used_where_it_is_one(told, timeout_s):
    assert target_of("http://c:4318/", {"OTEL_EXPORTER_OTLP_TIMEOUT": told}).timeout_s == timeout_s


def test_an_account_in_the_address_signs_in_and_is_not_said_again():
    target = target_of("https://me:p%40ss@c.test:4318/otlp", {})

    assert target.url == "https://c.test:4318/otlp/v1/traces"
    assert target.headers["Authorization"] == "Basic bWU6cEBzcw=="
    assert "p@ss" not in repr(target)


def test_a_proxy_of_the_environment_is_used(receiver, free_port, monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port}")
    box = Outbox("http://collector.test:4318", lambda: Resource({}))
    box.take((SCOPE, span(1)))
    box.stop()

    assert numbers(receiver) == [1]
    assert receiver.heard[0]["host"] == "collector.test:4318"


FORKS = """
import os, sys, time
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from why504.probe.lean.outbox import FLUSH_S, PATIENCE_S, Outbox
from why504.probe.lean.spanwire import *
from opentelemetry.trace import SpanKind

port = int(sys.argv[1])
def span(n): return encode_span("s", SpanKind.INTERNAL, 1, n, None, 1, 2, b"")
scope = encode_scope(None)
box = Outbox(f"http://127.0.0.1:{port}", lambda: Resource({"process.pid": os.getpid()}))
box.take((scope, span(1))); box.flush()
box.take((scope, span(2)))
pid = os.fork()
box.take((scope, span(10 if pid == 0 else 3)))
box.stop()
if pid == 0: os._exit(0)
os.waitpid(pid, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked here")
def test_after_a_fork_each_process_sends_its_own_and_nothing_twice(receiver, free_port):
    subprocess.run([sys.executable, "-c", FORKS, str(free_port)], check=True, timeout=60)

    assert sorted(numbers(receiver)) == [1, 2, 3, 10]
