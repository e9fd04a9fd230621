"""Libraries that the probe wraps once the application has imported them, and never before."""

from __future__ import annotations

from why504.probe.broker import Broker
from why504.probe.calls import Calls
from why504.probe.carried import Carrying
from why504.probe.consumer import Consumer
from why504.probe.inflight import Registry
from why504.probe.openrecord import RecordBook
from why504.probe.outgoing import Outgoing
from why504.probe.safety import Guard
from why504.probe.threadpool import ThreadpoolWatch


class Libraries:
    """pika, httpx, anyio, and threads that requests hand work to."""

    def __init__(
        self,
        registry: Registry,
        book: RecordBook,
        *,
        guard: Guard,
        calls: Calls,
        hold_after_s: float,
    ) -> None:
        self._wrapped = (
            Broker(guard, calls),
            Consumer(guard, calls, registry),
            Carrying(registry, guard),
            Outgoing(guard, calls),
            ThreadpoolWatch(book, registry, guard, hold_after_s=hold_after_s),
        )

    def attach(self) -> None:
        """Wrap what is imported by now and was not before; cheap, so to be called again."""
        for one in self._wrapped:
            one.attach()

    def detach(self) -> None:
        """Give every library its own methods back."""
        for one in self._wrapped:
            one.detach()
