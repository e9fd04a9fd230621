"""An OTLP/HTTP receiver on a real socket, for tests of whatever sends."""

from __future__ import annotations

import gzip
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


def read_body(handler: BaseHTTPRequestHandler) -> bytes:
    """Return the body of a request, unpacked."""
    body = handler.rfile.read(int(handler.headers["Content-Length"]))
    return gzip.decompress(body) if handler.headers["Content-Encoding"] == "gzip" else body


class Receiver:
    """Keeps the spans that it took, in order."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.spans: list[Span] = []
        self.answers: list[int] = []
        """Statuses of the next answers; 200 once it is empty."""
        self.told: dict[str, str] = {}
        """Headers of every answer."""
        self.body = b""
        """Body of every answer."""
        self.sizes: list[int] = []
        """Bytes of each request."""
        self.heard: list[dict[str, str]] = []
        """Headers of each request, names in small letters."""
        self.delay_s = 0.0
        """How long each request is kept before it is answered."""
        self.begun = 0
        """Requests that came, answered or not."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = read_body(self)
                receiver.begun += 1
                receiver.sizes.append(int(self.headers["Content-Length"]))
                receiver.heard.append({k.lower(): v for k, v in self.headers.items()})
                time.sleep(receiver.delay_s)
                status = receiver.answers.pop(0) if receiver.answers else 200
                if status == 200:
                    receiver.spans += _spans(body)
                self.send_response(status)
                for name, value in receiver.told.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(receiver.body)))
                self.end_headers()
                self.wfile.write(receiver.body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        """Refuse connections from now on."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _spans(body: bytes) -> list[Span]:
    request = ExportTraceServiceRequest.FromString(body)
    return [
        span
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
