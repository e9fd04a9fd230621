"""A TCP link with a fixed delay: it puts a database "in another region" (fault A1b)."""

from __future__ import annotations

import asyncio
import threading
from typing import Self

from lab.stack.ports import free_port
from why504.errors import LabError

CHUNK = 65_536
CHUNKS_IN_FLIGHT = 64
"""Per direction of one connection: bounds the memory at 4 MiB, as a TCP window would."""

_Way = asyncio.Queue[tuple[float, bytes]]
"""Chunks on their way with the time, on the loop's clock, at which each is due; empty = the end."""


class SlowLink:
    """Forwards 127.0.0.1:`port` to 127.0.0.1:`target_port`, each way late by `delay_s`.

    Opening a connection costs one round trip more, as it does over a real distance.
    `delay_s` may be changed at any time; order is kept. Runs in a thread of this process.

    Raises:
        LabError: the link could not be opened within 5 s.
    """

    def __init__(self, target_port: int, *, delay_s: float) -> None:
        self.port = free_port()
        self.delay_s = delay_s
        self._target_port = target_port
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="slow-link", daemon=True)
        self._thread.start()
        if not self._listening.wait(5):
            raise LabError(f"the slow link to port {target_port} did not open")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Cut every connection."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(5)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._carry, "127.0.0.1", self.port, backlog=1024)
        self._listening.set()
        await self._stopping.wait()
        server.close()

    async def _carry(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        """Carry one connection until both sides have ended, or one of them breaks."""
        try:
            await asyncio.sleep(2 * self.delay_s)
            source, target = await asyncio.open_connection("127.0.0.1", self._target_port)
            try:
                async with asyncio.TaskGroup() as both_ways:
                    for reader, writer in ((client, target), (source, answer)):
                        way: _Way = asyncio.Queue(CHUNKS_IN_FLIGHT)
                        both_ways.create_task(self._depart(reader, way))
                        both_ways.create_task(_arrive(way, writer))
            finally:
                target.close()
        except* OSError:
            pass  # a side that breaks cuts the other, as a cable would
        finally:
            answer.close()

    async def _depart(self, source: asyncio.StreamReader, way: _Way) -> None:
        chunk = b"-"
        while chunk:
            chunk = await source.read(CHUNK)
            await way.put((asyncio.get_running_loop().time() + self.delay_s, chunk))


async def _arrive(way: _Way, target: asyncio.StreamWriter) -> None:
    chunk = b"-"
    while chunk:
        due_s, chunk = await way.get()
        await asyncio.sleep(max(0.0, due_s - asyncio.get_running_loop().time()))
        target.write(chunk)
        await target.drain()
    target.write_eof()
