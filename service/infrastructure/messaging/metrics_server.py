"""Serves the metrics of a program that serves no HTTP of its own, from a thread of its own."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Final
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server

PORTS: Final = 50

log = logging.getLogger(__name__)


@contextmanager
def serve_metrics(registry: CollectorRegistry, port: int) -> Iterator[int | None]:
    """Serve /metrics on `port` or, if it is taken, on the next free one; gives the port.

    Args:
        registry: what is served; gets the process's own figures, such as when it began.
        port: -1 serves nothing, and gives None; 0 takes any free one.

    Raises:
        OSError: none of PORTS in a row was free.
    """
    if port == -1:
        yield None
        return
    ProcessCollector(registry=registry)
    server, thread = _first_free(registry, port)
    taken = int(server.server_port)
    log.info("metrics on port %d", taken)
    try:
        yield taken
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _first_free(registry: CollectorRegistry, port: int) -> tuple[WSGIServer, Thread]:
    for candidate in range(port, port + PORTS):
        try:
            return start_http_server(candidate, registry=registry)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or candidate == port + PORTS - 1:
                raise
    raise ValueError(f"port {port} is not one")
