"""What happens to the world around the service: done to the real thing, from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Final

import psycopg

from lab.stack.groq import Groq

SLOW_LLM_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class World:
    """What the service talks to, as far as it can be disturbed."""

    database_url: str
    groq: Groq


@contextmanager
def _nothing(world: World) -> Iterator[None]:
    yield


@contextmanager
def _slow_llm(world: World) -> Iterator[None]:
    world.groq.behave(delay_s=SLOW_LLM_S)
    yield


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
    "rows locked by hand": _rows_locked_by_hand,
}
"""Each lasts as long as its block."""
