"""`/metrics` and `/healthz` of whoever only watches, from a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from why504.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

Health = Callable[[], tuple[bool, str]]
"""Whether all is well, and what is to be said of it."""

_TEXT: Final = ("Content-Type", "text/plain; charset=utf-8")


@contextmanager
def served(host: str, port: int, registry: CollectorRegistry, health: Health) -> Iterator[int]:
    """Serve inside the block; gives the port, a free one for 0.

    Raises:
        ConfigError: the port is taken.
    """
    try:
        server = make_server(host, port, _app(registry, health), _Server, _Quiet)
    except OSError as error:
        raise ConfigError(f"can't listen on {host}:{port}: {error.strerror}") from error
    thread = threading.Thread(target=server.serve_forever, name="page", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def _app(registry: CollectorRegistry, health: Health) -> WSGIApplication:
    metrics = make_wsgi_app(registry)

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO")
        if path == "/metrics":
            told: Iterable[bytes] = metrics(environ, start_response)
            return told
        if path != "/healthz":
            start_response("404 Not Found", [_TEXT])
            return [b"try /metrics or /healthz\n"]
        well, said = health()
        start_response("200 OK" if well else "503 Service Unavailable", [_TEXT])
        return [f"{said}\n".encode()]

    return app


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Bind without asking a name server for the host's name, which may take its time."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A scraper that hung up is no news."""


class _Quiet(WSGIRequestHandler):
    timeout = 10

    def log_message(self, format: str, *args: Any) -> None:
        """Keep requests out of the log."""
