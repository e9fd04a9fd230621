"""How late an event loop is that shares one core with the export of 3,500 spans a second."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from bench.probe.figures import RefusedError, median, percentile
from bench.probe.processes import Served, Stage
from bench.probe.service import SPANS
from bench.probe.variants import AGAIN, LEAN_STOCK, NOTHING, OURS
from lab.prove.verdict import Check

PER_S: Final = 3_500 / (SPANS + 1)
"""Requests, each with its server span and those that the endpoint makes."""
BEAT_S: Final = 0.001
ROUNDS: Final = 8
SECONDS: Final = 5.0
MOST_ADDED_MS: Final = 1.0
MOST_APART_MS: Final = 0.25
"""Of A and A. The target is a difference; so is the noise that a run may have."""
_VARIANTS: Final = (NOTHING, AGAIN, LEAN_STOCK, OURS)


def measure(stage: Stage, brief: bool) -> list[Check]:
    """Return what export adds to p99.9 of a heartbeat's lateness, medians of the rounds.

    Raises:
        RefusedError: without any export the loop is late by itself.
    """
    rounds = 2 if brief else ROUNDS
    core = max(os.sched_getaffinity(0))
    served = [stage.serve(variant, name=f"lag-{variant}", core=core) for variant in _VARIANTS]
    for one in served:
        one.wait_ready()
    late: dict[str, list[float]] = defaultdict(list)
    order = random.Random(504)  # noqa: S311 - an order, no secret
    for _ in range(rounds):
        order.shuffle(served)
        for one in served:
            late[one.variant].append(_round(stage, one)["p999_ms"])
    bare, again, stock, ours = (median(late[variant]) for variant in _VARIANTS)
    if abs(again - bare) > MOST_APART_MS:
        raise RefusedError(f"lag: A and A are {bare:.2f} and {again:.2f} ms late by themselves")
    told = sum(stage.sink.received(f"lag-{OURS}")["spans"] for _ in range(1))
    return [
        Check("loop lag p99.9 added at 3,500 spans/s", ours - bare, MOST_ADDED_MS, "ms",
              stock - bare),
        Check("... in all; stock OpenTelemetry's beside it", ours, None, "ms", stock),
        Check("... without any export; the same again beside it", bare, None, "ms", again),
        Check("... spans/s that the collector got", told / rounds / SECONDS, 3_400, at_least=True),
    ]  # fmt: skip


def _round(stage: Stage, one: Served) -> Mapping[str, Any]:
    return one.ask("part", module="harm.lag", seconds=SECONDS)


async def inside(child: Any, *, seconds: float) -> Mapping[str, Any]:
    """Serve requests at the rate and return how late the beats were, in milliseconds."""
    load = asyncio.create_task(_load(child, seconds))
    late_ms = []
    due_s = time.monotonic() + BEAT_S
    end_s = due_s + seconds
    while due_s < end_s:
        await asyncio.sleep(due_s - time.monotonic())
        now_s = time.monotonic()
        late_ms.append((now_s - due_s) * 1000)
        # What a late beat kept from beating is its lateness, not that of others.
        due_s = max(due_s + BEAT_S, now_s)
    await load
    await asyncio.to_thread(child.running.drain)
    return {
        "p99_ms": percentile(late_ms, 0.99),
        "p999_ms": percentile(late_ms, 0.999),
        "beats": len(late_ms),
    }


async def _load(child: Any, seconds: float) -> None:
    began_s = time.monotonic()
    for number in range(int(seconds * PER_S)):
        await asyncio.sleep(began_s + number / PER_S - time.monotonic())
        await child.serve("/spans")
