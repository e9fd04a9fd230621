"""A real nginx before an application that answers, hangs and hangs up: what its spans say."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from otlp_receiver import Receiver
from prometheus_client import CollectorRegistry

from lab.stack.nginx import Nginx
from lab.stack.ports import free_port as find_port
from why504.watch.delivery import Delivery
from why504.watch.delivery_metrics import Delivered
from why504.watch.gateway import GatewayWatch
from why504.watch.otlp import OtlpClient, target_of

pytestmark = pytest.mark.nginx

TIMEOUT_S = 0.5
CLIENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Application:
    """Answers, hangs or hangs up by path, and keeps the headers that it was sent."""

    def __init__(self) -> None:
        self.seen: dict[str, dict[str, str]] = {}
        self.over = threading.Event()
        application = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                application.seen[self.path] = {k.lower(): v for k, v in self.headers.items()}
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.path.startswith("/hang"):
                    application.over.wait(10)
                if self.path != "/die" and not application.over.is_set():
                    self.send_response(504 if self.path == "/own504" else 200)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", find_port()), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,)).start()

    def stop(self) -> None:
        self.over.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def application() -> Iterator[Application]:
    running = Application()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def nginx(nginx_binary, application, tmp_path_factory) -> Iterator[Nginx]:
    ports = [application.server.server_port]
    folder = tmp_path_factory.mktemp("nginx")
    with Nginx.start(folder, upstream_ports=ports, timeout_s=TIMEOUT_S) as running:
        yield running


@pytest.fixture(scope="module")
def answers(nginx) -> dict[str, httpx.Response]:
    """What clients saw, by path; /hang-abort is left by its client."""
    seen = {}
    with httpx.Client(base_url=nginx.url, trust_env=False, timeout=10) as client:
        for path in ("/ok?token=secret", "/hang", "/die", "/own504", "/v1/users/u-12"):
            seen[path] = client.get(path)
        seen["/traced"] = client.get(
            "/traced", headers={"traceparent": CLIENT, "tracestate": "a=b"}
        )
        forged = {"traceparent": CLIENT.replace("4bf9", "XXXX"), "tracestate": "a=b"}
        seen["/forged"] = client.get("/forged", headers=forged)
        seen["/large"] = client.post("/large", content=b"x" * 2_000_000)
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{nginx.url}/hang-abort", timeout=TIMEOUT_S / 2, trust_env=False)
    # The line of the client that left is written by nginx when it notices, not when it is asked.
    deadline = time.monotonic() + 5
    while "hang-abort" not in nginx.access_log.read_text() and time.monotonic() < deadline:
        time.sleep(0.02)
    return seen


@pytest.fixture(scope="module")
def spans(nginx, answers, tmp_path_factory) -> dict[str, Span]:
    """The gateway's spans by path."""
    state = tmp_path_factory.mktemp("watch") / "state"
    return {value(span, "url.path"): span for span in sent(nginx.access_log, state)}


def sent(log: Path, state: Path) -> list[Span]:
    receiver = Receiver(find_port())
    stop = threading.Event()
    stop.set()
    GatewayWatch(log, delivery_to(receiver).deliver, state, TIMEOUT_S).run(stop)
    receiver.stop()
    return receiver.spans


def delivery_to(receiver: Receiver) -> Delivery:
    client = OtlpClient(target_of(f"http://127.0.0.1:{receiver.port}", {}))
    return Delivery(client.post, Delivered(CollectorRegistry()))


def value(span: Span, name: str) -> object:
    for attribute in span.attributes:
        if attribute.key == name:
            return getattr(attribute.value, str(attribute.value.WhichOneof("value")))
    return None


def told(span: Span) -> tuple[object, ...]:
    upstream = value(span, "why504.gateway.upstream_status")
    reached = value(span, "why504.gateway.upstream_header_seconds") is not None
    return value(span, "http.response.status_code"), value(span, "error.type"), upstream, reached


def test_every_ending_has_a_span_that_tells_it_apart(spans):
    assert {path: told(span) for path, span in spans.items()} == {
        "/ok": (200, None, 200, True),
        "/hang": (504, "504", 504, False),
        "/hang-abort": (499, "499", None, False),
        "/die": (502, "502", 502, False),
        "/own504": (504, "504", 504, True),
        "/v1/users/u-12": (200, None, 200, True),
        "/traced": (200, None, 200, True),
        "/forged": (200, None, 200, True),
        "/large": (200, None, 200, True),
    }


def test_the_application_is_told_the_gateways_own_span_as_its_parent(spans, application):
    for path, headers in application.seen.items():
        span = spans[path.partition("?")[0]]
        expected = f"00-{span.trace_id.hex()}-{span.span_id.hex()}-01"
        assert headers["traceparent"] == expected, path


def test_the_client_is_told_the_trace_id_even_of_a_504(spans, answers):
    for path, answer in answers.items():
        assert answer.headers["X-Trace-Id"] == spans[path.partition("?")[0]].trace_id.hex()


def test_a_clients_valid_trace_is_continued_and_a_forged_one_is_not(spans, application):
    traced, forged = spans["/traced"], spans["/forged"]

    assert f"00-{traced.trace_id.hex()}-{traced.parent_span_id.hex()}-01" == CLIENT
    assert application.seen["/traced"]["tracestate"] == "a=b"
    assert forged.parent_span_id == b""
    assert "tracestate" not in application.seen["/forged"]


def test_a_504_lasted_as_long_as_the_gateway_waited(spans):
    hang = spans["/hang"]

    assert 0 <= (hang.end_time_unix_nano - hang.start_time_unix_nano) / 1e9 - TIMEOUT_S < 0.3
    assert value(hang, "why504.gateway.timeout_seconds") == TIMEOUT_S
    assert abs(hang.end_time_unix_nano / 1e9 - time.time()) < 60


def test_the_query_string_stays_out_of_log_and_spans(spans, nginx):
    assert "secret" not in nginx.access_log.read_text()
    assert not any(b"secret" in span.SerializeToString() for span in spans.values())


def test_an_application_that_is_not_there_is_a_502_without_connection(nginx_binary, tmp_path):
    with Nginx.start(tmp_path, upstream_ports=[find_port()], timeout_s=1) as lonely:
        for _ in range(3):
            assert httpx.get(lonely.url, trust_env=False).status_code == 502
        spans = sent(lonely.access_log, tmp_path / "state")

    assert len(spans) == 3
    assert {value(span, "why504.gateway.upstream_connect_seconds") for span in spans} == {None}
    assert {value(span, "why504.gateway.attempts") for span in spans} == {1}


def test_nothing_is_lost_or_sent_twice_when_the_log_is_rotated_under_load(
    nginx_binary, application, tmp_path
):
    ports = [application.server.server_port]
    receiver = Receiver(find_port())
    asked: set[bytes] = set()
    stop = threading.Event()
    with Nginx.start(tmp_path, upstream_ports=ports, timeout_s=2) as nginx:
        watching = GatewayWatch(
            nginx.access_log, delivery_to(receiver).deliver, tmp_path / "state", 2
        )
        thread = threading.Thread(target=watching.run, args=(stop,))
        thread.start()
        with httpx.Client(base_url=nginx.url, trust_env=False) as client:
            for number in range(150):
                asked.add(bytes.fromhex(client.get("/ok").headers["X-Trace-Id"]))
                if number % 50 == 25:
                    old = nginx.access_log.with_name(f"access.jsonl-{number}")
                    nginx.access_log.rename(old)
                    nginx.reopen()
        deadline = time.monotonic() + 10
        while len(receiver.spans) < len(asked) and time.monotonic() < deadline:
            time.sleep(0.05)
        stop.set()
        thread.join()
    receiver.stop()

    assert sorted(span.trace_id for span in receiver.spans) == sorted(asked)
    assert (watching.tail.lost, watching.tail.torn) == (0, 0)
