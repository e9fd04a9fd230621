"""A small HTTP/1.1 client for load: what it costs must not depend on how many requests hang.

httpx goes through all of its open requests whenever one begins or ends. Beside a service that
hangs, thousands are open, and the generator then measures itself. h11 does the protocol here.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import h11

IDLE_S: Final = 30.0
"""Connections unused for longer are not used again: a server may be about to close them."""
CHUNK: Final = 65_536

Failed = (OSError, h11.RemoteProtocolError, TimeoutError)
"""What `Client.request` raises where there is no answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response; names of headers are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    protocol: h11.Connection = field(default_factory=lambda: h11.Connection(h11.CLIENT))
    used_s: float = 0.0


class Client:
    """Sends requests to one server, each on a connection that no other request uses meanwhile."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._timeout_s = timeout_s
        self._idle: list[_Connection] = []

    async def request(self, method: str, path: str, body: object = None) -> Answer:
        """Send a request, with `body` as JSON unless it is None.

        Raises:
            Failed: nobody took the connection, it broke, or the answer was not whole in time.
        """
        async with asyncio.timeout(self._timeout_s):
            connection = self._unused() or await self._connect()
            try:
                answer = await self._exchange(connection, method, path, body)
            except BaseException:
                connection.writer.close()
                raise
        self._keep(connection)
        return answer

    def close(self) -> None:
        """Close every connection that is not in use."""
        while self._idle:
            self._idle.pop().writer.close()

    def _unused(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            fresh = time.monotonic() - connection.used_s < IDLE_S
            if fresh and not connection.reader.at_eof():
                return connection
            connection.writer.close()
        return None

    async def _connect(self) -> _Connection:
        return _Connection(*await asyncio.open_connection(self._host, self._port))

    def _keep(self, connection: _Connection) -> None:
        try:
            connection.protocol.start_next_cycle()
        except h11.LocalProtocolError:  # the server said that it closes
            connection.writer.close()
            return
        connection.used_s = time.monotonic()
        self._idle.append(connection)

    async def _exchange(
        self, connection: _Connection, method: str, path: str, body: object
    ) -> Answer:
        content = b"" if body is None else json.dumps(body).encode()
        headers = [
            ("host", f"{self._host}:{self._port}"),
            ("content-type", "application/json"),
            ("content-length", str(len(content))),
        ]
        request = h11.Request(method=method, target=path, headers=headers)
        said: list[Any] = [request, h11.Data(data=content), h11.EndOfMessage()]
        connection.writer.write(b"".join(connection.protocol.send(each) or b"" for each in said))
        await connection.writer.drain()
        response, received = None, bytearray()
        while True:
            event = await _next_event(connection)
            if isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                received += event.data
            elif response is not None and isinstance(event, h11.EndOfMessage):
                told = {name.decode(): value.decode("latin-1") for name, value in response.headers}
                return Answer(response.status_code, told, bytes(received))


async def _next_event(connection: _Connection) -> h11.Event:
    while True:
        event = connection.protocol.next_event()
        if isinstance(event, h11.Event):
            return event
        if event is h11.PAUSED:
            raise h11.RemoteProtocolError("more came than was asked for")
        # An empty chunk is the end of the stream, and h11 wants to know of it.
        connection.protocol.receive_data(await connection.reader.read(CHUNK))
