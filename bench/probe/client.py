"""Requests over HTTP as a gateway sends them: kept connections, a trace id each."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Final

CONNECTIONS: Final = 8


def paced(port: int, path: Callable[[int], str], per_s: float, seconds: float) -> list[float]:
    """Send requests at a rate, however late answers are; return the seconds each one took.

    A request counts from the moment at which it was to be sent.
    """
    return asyncio.run(_paced(port, path, per_s, seconds))


async def _paced(
    port: int, path: Callable[[int], str], per_s: float, seconds: float
) -> list[float]:
    free: list[Connection] = [await Connection.open(port) for _ in range(CONNECTIONS)]
    began_s = time.monotonic() + 0.05

    async def one(number: int) -> float:
        due_s = began_s + number / per_s
        await asyncio.sleep(due_s - time.monotonic())
        connection = free.pop() if free else await Connection.open(port)
        await connection.get(path(number))
        free.append(connection)
        return time.monotonic() - due_s

    took = await asyncio.gather(*(one(number) for number in range(int(per_s * seconds))))
    for connection in free:
        connection.close()
    return list(took)


class Connection:
    """One that is kept open; sends one request after another."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._ids = random.Random()  # noqa: S311 - trace ids of a benchmark

    @classmethod
    async def open(cls, port: int) -> Connection:
        """Connect to a service on this machine."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def get(self, path: str) -> bytes:
        """Return the body that answers one request.

        Raises:
            SystemExit: it is not answered with 200.
        """
        parent = f"00-{self._ids.getrandbits(128):032x}-{self._ids.getrandbits(64) | 1:016x}-01"
        told = f"GET {path} HTTP/1.1\r\nhost: api.example.org\r\ntraceparent: {parent}\r\n\r\n"
        self._writer.write(told.encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 200"):
            raise SystemExit(f"{path} was answered with {head!r}")
        length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
        return await self._reader.readexactly(int(length))

    def close(self) -> None:
        """Hang up."""
        self._writer.close()
