"""Libraries that the probe wraps once the application has imported them, and never before."""

from __future__ import annotations

import sys
from typing import Final

from why504.probe.app.carried import Carrying
from why504.probe.clients.asyncpgcalls import AsyncpgCalls
from why504.probe.clients.connecting import Names
from why504.probe.clients.llmpauses import LlmPauses
from why504.probe.clients.outgoing import Outgoing
from why504.probe.clients.psycopgcalls import PsycopgCalls
from why504.probe.clients.rediscalls import RedisCalls
from why504.probe.clients.urllib3calls import Urllib3Calls
from why504.probe.kit import Kit
from why504.probe.messaging.aiobroker import AioBroker
from why504.probe.messaging.broker import Broker
from why504.probe.messaging.consumer import Consumer
from why504.probe.pools.asyncpgpool import AsyncpgPools
from why504.probe.pools.executors import ExecutorWatch
from why504.probe.pools.found import FoundEngines
from why504.probe.pools.httpcorepool import HttpPools
from why504.probe.pools.psycopgpool import PsycopgPools
from why504.probe.pools.threadpool import ThreadpoolWatch

_ALL_THE_SAME: Final = 8
"""Each so many looks all libraries are looked for, whether or not a module has come."""


class Libraries:
    """What a Python service queues for, or calls, by the libraries that it does that with."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._looks = 0
        self._modules = 0
        """How many were imported at the last look."""
        guard, calls = kit.guard, kit.calls
        self._consumer = Consumer(guard, calls, kit.registry)
        self._executors = ExecutorWatch(kit)
        self._wrapped = (
            FoundEngines(kit),
            AsyncpgPools(kit),
            AsyncpgCalls(kit),
            PsycopgPools(kit),
            PsycopgCalls(kit),
            Broker(guard, calls),
            AioBroker(kit),
            self._executors,  # before what carries work: it is carried, queued or not
            Carrying(kit.registry, guard),
            RedisCalls(kit),
            Outgoing(guard, calls),
            LlmPauses(kit),
            HttpPools(kit),
            Urllib3Calls(kit),
            Names(kit),
            ThreadpoolWatch(kit.book, kit.registry, guard, hold_after_s=kit.hold_after_s),
        )

    def attach(self) -> None:
        """Wrap what is imported by now and was not before; cheap, so to be called again."""
        self._consumer.attach()  # it also ends messages whose channel is gone
        # What was half imported at the last look may be whole without any other module's coming.
        self._looks += 1
        if self._modules == len(sys.modules) and self._looks % _ALL_THE_SAME:
            return
        self._modules = len(sys.modules)
        for one in self._wrapped:
            one.attach()

    def tell(self) -> None:
        """Tell what is to be looked at while somebody waits; to be called again and again."""
        self._executors.tell()

    def forked(self) -> None:
        """Forget who has what: all of it is in the parent."""
        self._executors.forked()
        for pool in list(self._kit.watched):
            pool.forget()

    def detach(self) -> None:
        """Give every library its own methods back."""
        # What was wrapped last goes first: two wrap how work is handed to a thread.
        for one in (*reversed(self._wrapped), self._consumer):
            one.detach()
