"""A collector, well or ill: `python -m bench.probe.sink`, which prints the port of each manner.

Who sends is told by the first part of the path. `GET /` of any port but the silent one's returns
what came so far, by sender.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

SLOW_S: Final = 1.0
_OK: Final = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
_ERROR: Final = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\noops"


class Request(NamedTuple):
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Received:
    """What came, by sender."""

    def __init__(self) -> None:
        self.by_sender: dict[str, dict[str, int]] = {}

    def note(self, request: Request) -> None:
        """Count one request, the bytes of its body as sent, and the spans in it."""
        sender = request.path.strip("/").partition("/")[0]
        counts = self.by_sender.setdefault(sender, {"requests": 0, "bytes": 0, "spans": 0})
        counts["requests"] += 1
        counts["bytes"] += len(request.body)
        if request.path.endswith("/v1/traces"):
            counts["spans"] += _spans(request)


def _spans(request: Request) -> int:
    packed = request.headers.get("content-encoding") == "gzip"
    try:
        told = ExportTraceServiceRequest.FromString(
            gzip.decompress(request.body) if packed else request.body
        )
    except (DecodeError, OSError, zlib.error):
        return 0
    return sum(len(s.spans) for r in told.resource_spans for s in r.scope_spans)


async def read_request(reader: asyncio.StreamReader) -> Request:
    """Return the next request of a connection.

    Raises:
        asyncio.IncompleteReadError: the connection was closed.
    """
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    method, path, _ = first.split(" ")
    if headers.get("transfer-encoding") == "chunked":
        return Request(method, path, headers, await _chunks(reader))
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, path, headers, body)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while size := int(await reader.readline(), 16):
        parts.append((await reader.readexactly(size + 2))[:-2])
    await reader.readline()
    return b"".join(parts)


async def _healthy(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(_OK)


async def _slow(request: Request, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(SLOW_S)
    writer.write(_OK)


async def _garbage(request: Request, writer: asyncio.StreamWriter) -> None:
    # By turns an error and bytes that no protocol has.
    if len(request.body) % 2:
        writer.write(_ERROR)
    else:
        writer.write(os.urandom(512))
        writer.close()


async def _silent(request: Request, writer: asyncio.StreamWriter) -> None:
    # By a timer, which the loop refers to: what nothing refers to is collected, and hangs up.
    await asyncio.sleep(86_400)


MANNERS: Final[Mapping[str, Callable[[Request, asyncio.StreamWriter], Awaitable[None]]]] = {
    "healthy": _healthy,
    "slow": _slow,
    "garbage": _garbage,
    "silent": _silent,
}


async def serve() -> None:
    """Listen for each manner on a port of its own, until killed."""
    received = Received()
    ports = {}
    for name, answer in MANNERS.items():
        server = await asyncio.start_server(_connection(received, answer), "127.0.0.1", 0)
        ports[name] = server.sockets[0].getsockname()[1]
    print(json.dumps(ports), flush=True)
    await asyncio.Event().wait()


def _connection(
    received: Received, answer: Callable[[Request, asyncio.StreamWriter], Awaitable[None]]
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not writer.is_closing():
                request = await read_request(reader)
                if request.method == "GET":
                    told = json.dumps(received.by_sender).encode()
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(told))
                    writer.write(told)
                    continue
                received.note(request)
                await answer(request, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    return connection


if __name__ == "__main__":
    asyncio.run(serve())
