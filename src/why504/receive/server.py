"""The receiver as a process: `serve` blocks until SIGTERM or ctrl-C."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from why504.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from why504.receive.spool import Spool


def serve(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 4318,
    max_age_s: float = 7 * 24 * 3600,
    registry: CollectorRegistry | None = None,
    ready: Callable[[int, Spool], None] = lambda port, spool: None,
) -> None:
    """Receive traces into `folder` until the process is told to stop; then flush and return.

    Args:
        port: 0 takes a free one.
        max_age_s: segments whose newest span ended longer ago are deleted, sooner beyond 4 GiB.
        registry: what `/metrics` serves besides what the receiver counts.
        ready: called once connections are accepted, with the port and with what stores, for whoever
            has something to store besides.

    Raises:
        ConfigError: the port is taken.
        MissingExtra: pyarrow or uvicorn is not installed.
        StoreUnavailable: another receiver writes to `folder`, or the disk refuses.
    """
    try:
        import uvicorn

        from why504.receive.app import create_app
        from why504.receive.segments import Retention
        from why504.receive.spool import Spool
    except ImportError as missing:
        raise MissingExtra("embedded") from missing
    with _listening(host, port) as listener, _told_to_stop():
        spool = Spool(folder, retention=Retention(max_age_s))
        try:
            config = uvicorn.Config(
                create_app(spool, registry=registry),
                lifespan="off",
                access_log=False,
                log_level="warning",
                timeout_graceful_shutdown=5,
            )
            ready(listener.getsockname()[1], spool)
            uvicorn.Server(config).run(sockets=[listener])
        finally:
            spool.close()


@contextmanager
def _told_to_stop() -> Iterator[None]:
    """Make SIGTERM end the block as ctrl-C does, and both of them quietly.

    uvicorn shuts down by itself, then raises the signal again for whoever had it before: by default
    that kills the process before the last segment is written.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with suppress(KeyboardInterrupt):
            yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=2048)
    except OSError as error:
        raise ConfigError(f"can't listen on {host}:{port}: {error.strerror}") from error
