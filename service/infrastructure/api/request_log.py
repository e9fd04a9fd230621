"""One JSON line a request: what, how long, how it ended; never what was said.

The line is handed to a thread, because a full pipe behind standard output would otherwise stop
the event loop, and with it every request.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, TextIO

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.infrastructure.api.trace_id import trace_id

LOGGER: Final = "service.requests"
LONGEST_QUEUE: Final = 10_000
"""Lines that wait for the thread at most; when nobody reads them, further ones are dropped."""
LONGEST_GOODBYE_S: Final = 1.0


class RequestLog:
    """Writes the line of each request when it ends."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._logger = logging.getLogger(LOGGER)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_s = time.perf_counter()
        status: int | None = None

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            status = status or 500  # written further out, where this does not see it
            raise
        finally:
            duration_ms = round((time.perf_counter() - started_s) * 1000, 1)
            self._logger.info(json.dumps(_line(scope, status, duration_ms)))


def _line(scope: Scope, status: int | None, duration_ms: float) -> dict[str, object]:
    return {
        "trace_id": trace_id(scope),
        "method": scope["method"],
        # The template, not the path: ids of conversations are no business of a log.
        "route": getattr(scope.get("route"), "path", None),
        "status": status,
        "duration_ms": duration_ms,
    }


@contextmanager
def written_to(stream: TextIO) -> Iterator[None]:
    """Let request lines go to a stream, through a thread, until the block is left."""
    handler = _Queued(stream)
    logger = logging.getLogger(LOGGER)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()


class _Queued(logging.Handler):
    """Never waits for the stream: not when it logs, and for a moment only when it is closed.

    The standard library's QueueListener waits for its thread without limit, and fails to stop
    while its queue is full: behind a pipe that nobody empties, the process could not end.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._lines: queue.Queue[str | None] = queue.Queue(LONGEST_QUEUE)
        self._thread = threading.Thread(
            target=_write, args=(self._lines, stream), name="request-log", daemon=True
        )
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(queue.Full):
            self._lines.put_nowait(self.format(record))

    def close(self) -> None:
        with suppress(queue.Full):
            self._lines.put(None, timeout=LONGEST_GOODBYE_S)
            self._thread.join(LONGEST_GOODBYE_S)
        super().close()


def _write(lines: queue.Queue[str | None], stream: TextIO) -> None:
    # A closed stream ends the thread; what is logged afterwards is dropped.
    with suppress(OSError, ValueError):
        for line in iter(lines.get, None):
            stream.write(line + "\n")
            stream.flush()
