"""A thread that keeps one connection to RabbitMQ, and can let go of it whatever the broker does.

pika's `close` waits for the broker's answer, which a frozen broker or one under a resource alarm
never gives. So the transport is kept in hand and aborted.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, Protocol

import pika
from pika.adapters.select_connection import IOLoop
from pika.adapters.utils.nbio_interface import AbstractStreamTransport
from pika.adapters.utils.selector_ioloop_adapter import SelectorIOServicesAdapter
from pika.channel import Channel
from pika.exceptions import ConnectionWrongStateError

from service.infrastructure.messaging.metrics import ConnectionMetrics
from service.infrastructure.messaging.topology import Topology

PAUSES_S: Final = (0.1, 2.0)
"""Before connecting again: the first, and the longest; doubled in between, half of it random."""
FAREWELL_S: Final = 0.5
"""How long a closing broker may take to say so."""

log = logging.getLogger(__name__)


class Client(Protocol):
    """What a connection is for; every method is called in the broker's thread and never blocks."""

    def opened(self, channel: Channel) -> None:
        """Use this channel, on which the topology is declared."""

    def lost(self) -> None:
        """The channel is gone, and with it whatever was not confirmed."""


class BrokerThread:
    """Connects, declares the topology, hands the channel to a client; again whenever it is lost."""

    def __init__(
        self,
        parameters: pika.ConnectionParameters,
        topology: Topology,
        client: Client,
        *,
        metrics: ConnectionMetrics,
    ) -> None:
        self._parameters = parameters
        self._topology = topology
        self._client = client
        self._metrics = metrics
        self._stopping = threading.Event()
        self._line: _Line | None = None
        self._thread = threading.Thread(target=self._keep, name="broker", daemon=True)
        self._failures = 0

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._metrics.connected.set(0)
        self._thread.start()

    def stop(self) -> None:
        """Close the connection and end the thread, within a second whatever the broker does."""
        self._stopping.set()
        self.call_soon(lambda: self.drop("the program ends"))
        self._thread.join(2 * FAREWELL_S)

    def call_soon(self, callback: Callable[[], None]) -> bool:
        """Run this in the broker's thread, from any thread; False if there is no connection."""
        line = self._line
        if line is None:
            return False
        line.ioloop.add_callback_threadsafe(callback)
        return True

    @property
    def blocked(self) -> bool:
        """Whether the broker said that it takes no messages on this connection."""
        line = self._line
        return line is not None and line.blocked

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Callable[[], None]:
        """Run this later unless the connection ends first; returns what calls it off.

        Only for callbacks in the broker's thread, while there is a connection.
        """
        if self._line is None:
            raise RuntimeError("there is no connection whose loop could keep a timer")
        ioloop = self._line.ioloop
        timer = ioloop.call_later(delay_s, callback)
        return partial(ioloop.remove_timeout, timer)

    def healthy(self) -> None:
        """Tell that the broker did what it is there for: the next pause is a short one."""
        self._failures = 0
        self._metrics.blocked.set(0)

    def drop(self, reason: str) -> None:
        """Let go of the connection; only in the broker's thread."""
        if self._line is not None:
            self._line.drop(reason)

    def _keep(self) -> None:
        while not self._stopping.is_set():
            self._failures += 1
            try:
                self._connect_and_serve()
            except Exception:  # whatever pika raises, this thread is all the relay has
                log.exception("the connection to the broker failed in an unknown way")
            first_s, longest_s = PAUSES_S
            pause_s = min(longest_s, first_s * 2 ** min(self._failures, 10))
            self._stopping.wait(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter

    def _connect_and_serve(self) -> None:
        line = _Line(self._parameters, self._open_channel, self._metrics)
        self._line = line
        try:
            if not self._stopping.is_set():
                line.ioloop.start()
        finally:
            self._line = None
            self._metrics.connected.set(0)
            self._client.lost()
            # Only now: a timer that is still to be called off belongs to this loop.
            line.ioloop.close()

    def _open_channel(self, connection: pika.SelectConnection) -> None:
        def opened(channel: Channel) -> None:
            channel.add_on_close_callback(lambda _, error: self.drop(f"channel closed: {error}"))
            self._topology.declare(channel, then=lambda: declared(channel))

        def declared(channel: Channel) -> None:
            self._metrics.connected.set(1)
            self._client.opened(channel)

        connection.channel(on_open_callback=opened)


class _Line:
    """One connection on a loop of its own."""

    def __init__(
        self,
        parameters: pika.ConnectionParameters,
        opened: Callable[[pika.SelectConnection], None],
        metrics: ConnectionMetrics,
    ) -> None:
        self.ioloop = IOLoop()
        self._services = _Abortable(self.ioloop)
        self.blocked = False
        self._metrics = metrics
        self._dropped = False
        self._began_s = time.monotonic()
        self._connection = pika.SelectConnection(
            parameters,
            on_open_callback=opened,
            on_open_error_callback=lambda _, error: self._ended(error),
            on_close_callback=lambda _, error: self._ended(error),
            custom_ioloop=self._services,
        )
        self._connection.add_on_connection_blocked_callback(lambda *_: self._block(True))
        self._connection.add_on_connection_unblocked_callback(lambda *_: self._block(False))

    def drop(self, reason: str) -> None:
        """Close the connection, at the latest after FAREWELL_S."""
        if self._dropped:
            return
        self._dropped = True
        log.warning("letting go of the broker: %s", reason)
        with suppress(ConnectionWrongStateError):  # it is closing already
            self._connection.close()
        self.ioloop.call_later(FAREWELL_S, self._services.abort)
        self.ioloop.call_later(1.5 * FAREWELL_S, self.ioloop.stop)

    def _block(self, blocked: bool) -> None:
        self.blocked = blocked
        self._metrics.blocked.set(int(blocked))

    def _ended(self, error: BaseException) -> None:
        open_s = time.monotonic() - self._began_s
        log.info("a connection to the broker ended after %.1f s: %r", open_s, error)
        self.ioloop.stop()


class _Abortable(SelectorIOServicesAdapter):  # type: ignore[misc]  # pika has no types
    """pika's I/O services; they remember the transport that they made."""

    def __init__(self, ioloop: IOLoop) -> None:
        super().__init__(ioloop)
        self._transport: AbstractStreamTransport | None = None

    def create_streaming_connection(
        self,
        protocol_factory: Callable[[], Any],
        sock: Any,
        on_done: Callable[[Any], None],
        **tls: Any,
    ) -> Any:
        """Return what the base class does."""

        def remember(result: Any) -> None:
            if not isinstance(result, BaseException):
                self._transport = result[0]
            on_done(result)

        return super().create_streaming_connection(protocol_factory, sock, remember, **tls)

    def abort(self) -> None:
        """Close the socket at once, unsent data and all."""
        if self._transport is not None:
            self._transport.abort()
