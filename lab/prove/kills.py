"""`kill -9` at random moments of random parts of the service, and of its broker now and then."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self

from lab.prove.supervisor import Kept
from lab.stack.rabbitmq import RabbitMQ

BROKER: Final = "broker"
BROKER_AWAY_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Kills:
    """How many kills at least, and how they come: `seed` draws victims and moments."""

    at_least: int
    pause_s: float
    """Between two kills, on average; drawn evenly from 0.3 to 1.7 times that."""
    broker_every: int
    """At every so many turns it is the broker's."""
    seed: int


class Killer:
    """Kills from a thread of its own until it is left; only what is up is killed, and counts.

    A supervisor starts the processes again, and the killer the broker.
    """

    def __init__(
        self,
        kept: Sequence[Kept],
        broker: RabbitMQ,
        order: Kills,
        *,
        told: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.kills: Counter[str] = Counter()
        """By kind of process; the broker's under `broker`."""
        self._kept, self._broker = kept, broker
        self._order = order
        self._rng = random.Random(order.seed)
        self._told = told
        self._stopping = threading.Event()
        self._restarts: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._run, name="killer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(30)
        for restart in self._restarts:
            restart.join(90)

    @property
    def of_the_service(self) -> int:
        """Kills of processes of the service."""
        return self.kills.total() - self.kills[BROKER]

    def _run(self) -> None:
        turn = 0
        while not self._stopping.wait(self._order.pause_s * self._rng.uniform(0.3, 1.7)):
            turn += 1
            if turn % self._order.broker_every == 0 and not self._broker_restarts:
                self._kill_broker()
                continue
            victim = self._rng.choice(self._kept)
            # One that is only starting would show nothing.
            if victim.alive and victim.ready():
                victim.kill()
                self.kills[victim.kind] += 1
                if self.of_the_service % 25 == 0:
                    self._told(f"{self.of_the_service} kills: {dict(self.kills)}")

    @property
    def _broker_restarts(self) -> bool:
        return any(restart.is_alive() for restart in self._restarts)

    def _kill_broker(self) -> None:
        self._broker.kill()
        self.kills[BROKER] += 1
        restart = threading.Thread(target=self._restart_broker, name="broker", daemon=True)
        restart.start()
        self._restarts.append(restart)

    def _restart_broker(self) -> None:
        self._stopping.wait(BROKER_AWAY_S)
        self._broker.restart()
