"""What every request pays for being known while it is open."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Any, Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext

from bench import yardstick
from bench.probe.processes import Stage
from lab.prove.verdict import Check
from why504.probe.clock import Clock
from why504.probe.inflight import OpenSpan, Registry, RegistryProcessor
from why504.probe.safety import Guard

MOST_US: Final = 1.0
OPEN: Final = 10_000
"""Already, in the second measurement."""
TURNS: Final = 12
"""Of the yardstick and both measurements: the speed of a shared machine goes up and down."""
ROUNDS: Final = 10
EACH: Final = 1_000


def measure(stage: Stage, brief: bool) -> list[Check]:
    """Return microseconds of opening and closing one entry, in a task as a request is."""
    least_us = dict.fromkeys((0, OPEN), math.inf)
    plain_per_s, payload = 0.0, yardstick.payload()
    for _ in range(TURNS):
        plain_per_s = max(plain_per_s, yardstick.plain_loop(payload, rounds=1))
        for already, us in least_us.items():
            least_us[already] = min(us, asyncio.run(_us(already)))
    told = []
    for already, us in least_us.items():
        told += [
            Check(f"registry: us a request, {already:,} open, here", us, None, "us"),
            Check("... on the targets' machine", us * yardstick.speed(plain_per_s), MOST_US, "us"),
        ]
    return told


async def _us(already: int) -> float:
    registry = Registry(Clock(), 50_000)
    for number in range(already):
        registry.open(OpenSpan(1, 1_000_000 + number))
    processor = RegistryProcessor(registry, Guard())
    contexts = [SpanContext(7, number, is_remote=False) for number in range(EACH + 1)]
    spans: list[Any] = [ReadableSpan("GET /", context) for context in contexts]

    def opened(number: int) -> None:
        processor.on_start(spans[number])
        processor.on_end(spans[number])

    return _least(opened) - _least(_nothing)


def _least(do: Callable[[int], Any]) -> float:
    """Return microseconds of one call, of the fastest round."""
    return min(_round(do) for _ in range(ROUNDS)) * 1e6


def _round(do: Callable[[int], Any]) -> float:
    began_s = time.process_time()
    for number in range(1, EACH + 1):
        do(number)
    return (time.process_time() - began_s) / EACH


def _nothing(number: int) -> None:
    pass
