"""What taking and giving back a named lock costs that nobody else wants."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

import why504
from bench.probe.processes import Stage
from bench.probe.variants import NOTHING, OURS
from lab.prove.verdict import Check

ROUNDS: Final = 30
EACH: Final = 1_000


def measure(stage: Stage, brief: bool) -> list[Check]:
    """Return microseconds with the probe on, beside those of the bare lock; told only."""
    bare, on = (
        stage.serve(v, name=f"locks-{v}").wait_ready().ask("part", module="harm.locks")
        for v in (NOTHING, OURS)
    )
    return [
        check
        for kind in ("threading", "asyncio")
        for check in (
            Check(f"a named {kind}.Lock, taken and given back", on[kind], None, "us",
                  bare[f"bare {kind}"]),
            Check("... before instrument()", bare[kind], None, "us", bare[f"bare {kind}"]),
        )
    ]  # fmt: skip


async def inside(child: Any) -> Mapping[str, Any]:
    """Return microseconds a lock, named and bare, of the fastest round."""
    # One request first: the probe listens from then on.
    await child.serve("/trivial")
    return {
        "bare threading": _sync(threading.Lock()),
        "threading": _sync(why504.resource("bench threading".replace(" ", "."), threading.Lock())),
        "bare asyncio": await _async(asyncio.Lock()),
        "asyncio": await _async(why504.resource("bench.asyncio", asyncio.Lock())),
    }


def _sync(lock: threading.Lock) -> float:
    rounds = []
    for _ in range(ROUNDS):
        began_s = time.process_time()
        for _ in range(EACH):
            with lock:
                pass
        rounds.append(time.process_time() - began_s)
    return min(rounds) / EACH * 1e6


async def _async(lock: asyncio.Lock) -> float:
    rounds = []
    for _ in range(ROUNDS):
        began_s = time.process_time()
        for _ in range(EACH):
            async with lock:
                pass
        rounds.append(time.process_time() - began_s)
    return min(rounds) / EACH * 1e6
