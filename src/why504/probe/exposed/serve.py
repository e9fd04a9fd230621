"""`/metrics`, `/debug/requests` and `/debug/limits` from a thread and a port of their own.

They answer while the event loop is blocked, which is when they are needed. They tell paths, lines
and trace ids: whoever asks from another machine needs a token. `/healthz` only says that it lives.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import logging
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

from why504.errors import ConfigError
from why504.probe.safety import Guard

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

_LOG = logging.getLogger("why504.probe")
_PORTS_TRIED: Final = 20
_STRANGER: Final = (
    401,
    "text/plain; charset=utf-8",
    b"Authorization: Bearer WHY504_METRICS_TOKEN\n",
)


class Server:
    """Serves three paths until `stop`; `port` is the one it got.

    Args:
        host: on which it listens.
        port: the first that is tried.
        registry: what /metrics tells.
        guard: counts what fails here.
        token: has to be sent by whoever asks, unless the host is loopback.

    Raises:
        ConfigError: the host is not loopback, and there is no token.
    """

    def __init__(
        self, host: str, port: int, registry: Collector, guard: Guard, *, token: str = ""
    ) -> None:
        if not is_loopback(host) and not token:
            raise ConfigError(
                f"/metrics and /debug are not served on {host} without a token: set"
                " WHY504_METRICS_TOKEN, or WHY504_METRICS_TOKEN_FILE, here and where they are read"
            )
        self._asked = b"" if is_loopback(host) else f"Bearer {token}".encode()
        self._guard = guard
        self._registry = registry
        self._http = _bind(host, port, self._handler())
        self.port = int(self._http.server_address[1])
        self._thread = threading.Thread(
            target=self._http.serve_forever,
            kwargs={"poll_interval": 0.5},
            name="why504 http",
            daemon=True,
        )
        self.debug: Callable[[], dict[str, Any]] = dict
        self.limits: Callable[[], list[dict[str, Any]]] = list

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()
        _LOG.info("why504 serves /metrics and /debug/requests on port %d", self.port)

    def stop(self) -> None:
        """Give the port back."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(timeout=5)

    def abandon(self) -> None:
        """Leave the port to the parent process that has it too."""
        self._http.server_close()

    def admits(self, authorization: str) -> bool:
        """Return whether a caller may read; takes as long for a wrong token as for a right one."""
        told = authorization.encode("utf-8", "replace")
        return not self._asked or hmac.compare_digest(told, self._asked)

    def answer(self, path: str, accept: str) -> tuple[int, str, bytes]:
        """Return status, content type and body for a GET."""
        if path == "/healthz":
            return 200, "text/plain; charset=utf-8", b"ok\n"
        if path == "/metrics":
            from prometheus_client.exposition import choose_encoder

            encode, content_type = choose_encoder(accept)
            return 200, content_type, encode(self._registry)
        if path == "/debug/requests":
            return 200, "application/json", json.dumps(self.debug()).encode()
        if path == "/debug/limits":
            return 200, "application/json", json.dumps(self.limits()).encode()
        return 404, "text/plain; charset=utf-8", b"try /metrics, /debug/requests, /debug/limits\n"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                answer = (500, "text/plain; charset=utf-8", b"why504 failed to answer\n")
                with server._guard.site("http"):
                    path = self.path.partition("?")[0]
                    admitted = server.admits(self.headers.get("Authorization", ""))
                    if admitted or path == "/healthz":
                        answer = server.answer(path, self.headers.get("Accept", ""))
                    else:
                        answer = _STRANGER
                status, content_type, body = answer
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                if status == _STRANGER[0]:
                    self.send_header("WWW-Authenticate", "Bearer")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Stay out of the application's stderr."""

        return Handler


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True
    # On Linux a restarted service gets its port back although old connections linger there. On
    # other systems the option would let two processes share the port and answer in turn.
    allow_reuse_address = sys.platform == "linux"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A scraper that hung up is none of the application's business."""


def is_loopback(host: str) -> bool:
    """Return whether nobody but this machine reaches a host; a name other than localhost may be."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bind(host: str, port: int, handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    """Bind `port`, else one of the next 19, else any free one."""
    for candidate in range(port, port + _PORTS_TRIED) if port > 0 else ():
        if candidate > 65535:
            break
        try:
            return _QuietServer((host, candidate), handler)
        except OSError:
            continue
    return _QuietServer((host, 0), handler)
