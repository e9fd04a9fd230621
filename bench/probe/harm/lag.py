"""How late an event loop is that shares one core with the export of 3,500 spans a second.

A beat is late while its own process computes, in whichever thread, or while another process has the
core. Judged is the first: lateness that the process's own CPU time since the last beat explains.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from bench import yardstick
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
LEAST_PER_S: Final = 3_400
_VARIANTS: Final = (NOTHING, AGAIN, LEAN_STOCK, OURS)


def measure(stage: Stage, brief: bool) -> list[Check]:
    """Return what export adds to p99.9 of a heartbeat's lateness, medians of the rounds.

    Raises:
        RefusedError: without any export the loop is late by itself.
    """
    machine = yardstick.machine()
    rounds = 2 if brief else ROUNDS
    core = max(os.sched_getaffinity(0))
    served = [stage.serve(variant, name=f"lag-{variant}", core=core) for variant in _VARIANTS]
    for one in served:
        one.wait_ready()
    shown: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    order = random.Random(504)  # noqa: S311 - an order, no secret
    for _ in range(rounds):
        order.shuffle(served)
        for one in served:
            shown[one.variant].append(_round(one))
    late = {variant: median([one["p999_ms"] for one in shown[variant]]) for variant in _VARIANTS}
    bare, again, stock, ours = late.values()
    if abs(again - bare) > MOST_APART_MS:
        raise RefusedError(f"lag: A and A are {bare:.2f} and {again:.2f} ms late by themselves")
    spans = stage.sink.received(f"lag-{OURS}")["spans"]
    by_clock = [median([one["clock_ms"] for one in shown[v]]) for v in (OURS, LEAN_STOCK)]
    return [
        Check("loop lag p99.9 added at 3,500 spans/s, here; beside: stock OpenTelemetry",
              ours - bare, None, "ms", stock - bare),
        Check("... on the targets' machine", (ours - bare) * machine, MOST_ADDED_MS, "ms",
              (stock - bare) * machine),
        Check("... in all", ours, None, "ms", stock),
        Check("... without spans; beside: the same again", bare, None, "ms", again),
        Check("... in all, with what other processes cost", by_clock[0], None, "ms", by_clock[1]),
        Check("... spans/s that the collector got", spans / rounds / SECONDS, LEAST_PER_S,
              at_least=True),
    ]  # fmt: skip


def _round(one: Served) -> Mapping[str, Any]:
    return one.ask("part", module="harm.lag", seconds=SECONDS)


async def inside(child: Any, *, seconds: float) -> Mapping[str, Any]:
    """Serve requests at the rate and return how late the beats were, in milliseconds."""
    load = asyncio.create_task(_load(child, seconds))
    own_s, clock_s = [], []
    due_s, used_s = time.monotonic() + BEAT_S, time.process_time()
    end_s = due_s + seconds
    while due_s < end_s:
        await asyncio.sleep(due_s - time.monotonic())
        now_s, now_used_s = time.monotonic(), time.process_time()
        clock_s.append(now_s - due_s)
        own_s.append(min(now_s - due_s, now_used_s - used_s))
        used_s = now_used_s
        # What a late beat kept from beating is its lateness, not that of others.
        due_s = max(due_s + BEAT_S, now_s)
    await load
    await asyncio.to_thread(child.running.drain)
    return {
        "p999_ms": percentile(own_s, 0.999) * 1000,
        "clock_ms": percentile(clock_s, 0.999) * 1000,
    }


async def _load(child: Any, seconds: float) -> None:
    began_s = time.monotonic()
    for number in range(int(seconds * PER_S)):
        await asyncio.sleep(began_s + number / PER_S - time.monotonic())
        await child.serve("/spans")
