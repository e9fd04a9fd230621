"""A collector that keeps what it is sent, and an application under a real uvicorn."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.otlp_receiver import read_body
from why504 import names
from why504.config import ProbeSettings


@dataclass
class Received:
    """A span as it came in: ids as hex, attributes as a dict."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]
    resource: dict[str, Any]
    status: int

    @property
    def seconds(self) -> float:
        return (self.end_ns - self.start_ns) / 1e9


@dataclass
class Collector:
    """Speaks OTLP/HTTP on a free port."""

    spans: list[Received] = field(default_factory=list)
    port: int = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def of_kind(self, kind: str, *, final: bool | None = None) -> list[Received]:
        found = [s for s in list(self.spans) if s.attributes.get(names.KIND) == kind]
        if final is None:
            return found
        return [s for s in found if (names.SNAPSHOT_OF not in s.attributes) == final]

    def servers(self) -> list[Received]:
        return [s for s in list(self.spans) if s.kind == 2 and names.KIND not in s.attributes]

    def wait_for(self, found: Callable[[], Any], timeout_s: float = 8.0) -> Any:
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            result = found()
            if result:
                return result
            time.sleep(0.02)
        raise AssertionError(f"not told in {timeout_s} s; got {[s.name for s in self.spans]}")


def _value(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _take(collector: Collector, body: bytes) -> None:
    message = ExportTraceServiceRequest.FromString(body)
    for group in message.resource_spans:
        resource = _attributes(group.resource.attributes)
        for scope in group.scope_spans:
            for s in scope.spans:
                collector.spans.append(
                    Received(
                        s.name,
                        s.trace_id.hex(),
                        s.span_id.hex(),
                        s.parent_span_id.hex(),
                        s.kind,
                        s.start_time_unix_nano,
                        s.end_time_unix_nano,
                        _attributes(s.attributes),
                        resource,
                        s.status.code,
                    )
                )


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            _take(found, read_body(self))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def settings(collector: Collector) -> ProbeSettings:
    return ProbeSettings(endpoint=collector.endpoint, metrics_port=0, snapshot_after_s=0.3)


@contextmanager
def _serving(app: FastAPI, loop: str = "asyncio") -> Iterator[str]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, loop=loop, log_level="error", timeout_graceful_shutdown=3)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    end = time.monotonic() + 10
    while not server.started and time.monotonic() < end:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=15)
        listener.close()


@pytest.fixture
def serving() -> Callable[..., Any]:
    return _serving
