"""What happens to the world around the service: done to the real thing, from outside."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Final

import psycopg

from lab.peers import Peers
from why504.errors import LabError

SLOW_LLM_S: Final = 120.0
SLOW_MEMORY_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class World:
    """What the service talks to, as far as it can be disturbed."""

    database_url: str
    peers: Peers
    service_pid: int


@contextmanager
def _nothing(world: World) -> Iterator[None]:
    yield


@contextmanager
def _slow_llm(world: World) -> Iterator[None]:
    world.peers.groq.behave(delay_s=SLOW_LLM_S)
    yield


@contextmanager
def _refusing_llm(world: World) -> Iterator[None]:
    world.peers.groq.behave(limited=True, retry_after_s=20)
    yield


@contextmanager
def _slow_memory(world: World) -> Iterator[None]:
    if world.peers.mem0 is None:
        raise LabError("the fault has no Mem0 to slow down: its `needs` must name it")
    world.peers.mem0.behave(delay_s=SLOW_MEMORY_S)
    yield


@contextmanager
def _memory_alarm(world: World) -> Iterator[None]:
    """RabbitMQ's own alarm: it reads no more from any connection that publishes."""
    if world.peers.rabbitmq is None:
        raise LabError("the fault has no RabbitMQ to alarm: its `needs` must name it")
    world.peers.rabbitmq.alarm(True)
    yield


@contextmanager
def _slow_trigger(world: World) -> Iterator[None]:
    """A report that somebody keeps up to date by a trigger, and that has grown too long."""
    with psycopg.connect(world.database_url, autocommit=True) as session:
        session.execute(
            "CREATE FUNCTION refresh_report() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$"
        )
        session.execute(
            "CREATE TRIGGER report BEFORE INSERT ON conversation_event "
            "FOR EACH ROW EXECUTE FUNCTION refresh_report()"
        )
    yield


@contextmanager
def _starved_service(world: World) -> Iterator[None]:
    """Neighbours with work to do, on the one core that the service may use."""
    core = min(os.sched_getaffinity(0))
    for thread in os.listdir(f"/proc/{world.service_pid}/task"):
        os.sched_setaffinity(int(thread), {core})
        os.setpriority(os.PRIO_PROCESS, int(thread), 19)
    spin = f"import os; os.sched_setaffinity(0, {{{core}}})\nwhile True: pass"
    neighbours = [subprocess.Popen([sys.executable, "-c", spin]) for _ in range(4)]
    try:
        yield
    finally:
        for neighbour in neighbours:
            neighbour.kill()
            neighbour.wait()


@contextmanager
def _rows_locked_by_hand(world: World) -> Iterator[None]:
    """An UPDATE that nobody commits, as `psql` sends it."""
    with psycopg.connect(world.database_url, application_name="psql") as session:
        session.execute("UPDATE friendship_status SET level = level")
        yield
        session.rollback()


ACTIONS: Final[Mapping[str, Callable[[World], AbstractContextManager[None]]]] = {
    "nothing": _nothing,
    "slow LLM": _slow_llm,
    "LLM over its quota": _refusing_llm,
    "slow memory": _slow_memory,
    "memory alarm of the broker": _memory_alarm,
    "slow trigger": _slow_trigger,
    "starved service": _starved_service,
    "rows locked by hand": _rows_locked_by_hand,
}
"""Each lasts as long as its block."""
