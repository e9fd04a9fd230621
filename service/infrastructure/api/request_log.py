"""One JSON line a request: what, how long, how it ended; never what was said.

The line is handed to a thread, because a full pipe behind standard output would otherwise stop
the event loop, and with it every request.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TextIO

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.infrastructure.api.problems import trace_id

LOGGER: Final = "service.requests"
LONGEST_QUEUE: Final = 10_000
"""Lines that wait for the thread at most; when nobody reads them, further ones are dropped."""


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
        finally:
            duration_ms = round((time.perf_counter() - started_s) * 1000, 1)
            self._logger.info(json.dumps(_line(scope, status, duration_ms)))


def _line(scope: Scope, status: int | None, duration_ms: float) -> dict[str, object]:
    return {
        "trace_id": trace_id(scope) or None,
        "method": scope["method"],
        # The template, not the path: ids of conversations are no business of a log.
        "route": getattr(scope.get("route"), "path", None),
        "status": status,
        "duration_ms": duration_ms,
    }


@contextmanager
def written_to(stream: TextIO) -> Iterator[None]:
    """Let request lines go to a stream, through a thread, until the block is left."""
    lines: queue.Queue[logging.LogRecord] = queue.Queue(LONGEST_QUEUE)
    handler = _DroppingHandler(lines)
    listener = logging.handlers.QueueListener(lines, logging.StreamHandler(stream))
    logger = logging.getLogger(LOGGER)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    listener.start()
    try:
        yield
    finally:
        logger.removeHandler(handler)
        listener.stop()


class _DroppingHandler(logging.handlers.QueueHandler):
    def handleError(self, record: logging.LogRecord) -> None:
        """Drop what a full queue can't take; the default prints a traceback for each."""
