"""One variant in a process of its own: `python -m bench.probe.child VARIANT SINK FOLDER`.

It serves the application on a port, which it prints, and does what lines of JSON on stdin ask for.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import uvicorn
import uvloop

from bench.probe.variants import VARIANTS, Place, Running

Answer = MutableMapping[str, Any]
_HEADERS: Final = (
    (b"host", b"api.example.org"),
    (b"user-agent", b"python-httpx/0.28.1"),
    (b"accept", b"*/*"),
)


class Child:
    """Does what it is asked for, one thing after another."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.kept: Any = None
        """What a part wants to outlive it."""
        self._ids = random.Random(504)  # noqa: S311 - trace ids of a benchmark

    async def requests(self, path: str, count: int, drained: bool = True) -> Answer:
        """Serve requests without HTTP; return the CPU seconds of the loop's thread and of all.

        All is told once everything is sent that waits to be, unless that is not waited for.
        """
        scopes = [self._scope(path) for _ in range(count)]
        total_s, loop_s = time.process_time(), time.thread_time()
        for scope in scopes:
            await asyncio.create_task(_serve(self.running.app, scope))
        loop_s = time.thread_time() - loop_s
        if drained:
            await asyncio.to_thread(self.running.drain)
        return {"loop_s": loop_s, "total_s": time.process_time() - total_s}

    async def serve(self, path: str) -> None:
        """Serve one request without HTTP, in a task of its own."""
        await asyncio.create_task(_serve(self.running.app, self._scope(path)))

    async def clock(self) -> Answer:
        """Return the CPU seconds so far, with everything sent that waited to be."""
        await asyncio.to_thread(self.running.drain)
        return {"total_s": time.process_time(), "loop_s": time.thread_time()}

    async def idle(self, seconds: float) -> Answer:
        """Return the CPU seconds of doing nothing."""
        began_s = time.process_time()
        await asyncio.sleep(seconds)
        return {"total_s": time.process_time() - began_s}

    async def part(self, module: str, **arguments: Any) -> Answer:
        """Return what a module's half shows that has to be in here."""
        found = import_module(f"bench.probe.{module}")
        return dict(await found.inside(self, **arguments))

    def _scope(self, path: str) -> MutableMapping[str, Any]:
        parent = b"00-%032x-%016x-01" % (self._ids.getrandbits(128), self._ids.getrandbits(64) | 1)
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "server": ("127.0.0.1", 8000),
            "client": ("127.0.0.1", 50000),
            "scheme": "http",
            "method": "GET",
            "root_path": "",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [*_HEADERS, (b"traceparent", parent)],
        }


async def _serve(app: Callable[..., Awaitable[None]], scope: MutableMapping[str, Any]) -> None:
    status = 0

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)

    await app(scope, receive, send)
    if status != 200:
        raise SystemExit(f"{scope['path']} was answered with {status}")


async def run(variant: str, place: Place) -> None:
    """Serve and obey until stdin ends."""
    running = VARIANTS[variant].start(place)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(running.app, log_level="warning", access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    child = Child(running)
    metrics_port = -1 if running.probe is None else running.probe.port
    told = {"port": listener.getsockname()[1], "metrics_port": metrics_port}
    print(json.dumps(told), flush=True)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        asked = json.loads(line)
        print(json.dumps(await getattr(child, asked.pop("do"))(**asked)), flush=True)
    server.should_exit = True
    await serving


if __name__ == "__main__":
    uvloop.run(run(sys.argv[1], Place(Path(sys.argv[3]), sys.argv[2])))
    os._exit(0)  # whatever a peer does at exit is no business of ours
