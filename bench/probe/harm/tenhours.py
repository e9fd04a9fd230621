"""Ten hours of a hang of 200 requests: what is sent, and what memory does.

Requests, registry, records, publisher, sender and collector are real; only the time that the
publisher reads is made up. A second service hangs for some real minutes, to check that.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bench.probe.processes import Stage
from bench.probe.service import PLACES
from bench.probe.variants import OURS
from lab.prove.verdict import Check
from why504.config import ProbeSettings
from why504.probe.activity import Activity
from why504.probe.safety import Guard
from why504.probe.telling.publisher import POLL_S, Publisher
from why504.probe.telling.rhythm import Rhythm
from why504.testing import FakeClock

REQUESTS: Final = 200
"""Of which as many as `PLACES` call something that never answers; the others wait for a place."""
SECONDS: Final = 36_000.0
MOST_MB: Final = 20.0
MOST_GROWN_MB: Final = 5.0
REAL_S: Final = 120.0
MOST_OFF: Final = 1.5
"""Times what the model says, a real service may send: it tells of itself besides."""
_BEGUN_S: Final = 0.5
"""In which all requests come to where they hang; nothing is told yet."""


def measure(stage: Stage, brief: bool) -> list[Check]:
    """Return what ten hours send and take, and the same of real minutes beside the model."""
    seconds, real_s = (3_600.0, 20.0) if brief else (SECONDS, REAL_S)
    model, real = (stage.serve(OURS, name=f"hang-{n}").wait_ready() for n in ("model", "real"))
    for one in (model, real):
        one.ask("part", module="harm.tenhours", hang=True)
    real.begin("idle", seconds=real_s)
    model.ask("part", module="harm.tenhours", seconds=real_s)
    real.end()
    model_mb, real_mb = (stage.sink.received(f"hang-{n}")["bytes"] / 1e6 for n in ("model", "real"))
    shown = model.ask("part", module="harm.tenhours", seconds=seconds - real_s)
    told = stage.sink.received("hang-model")
    return [
        Check(f"{seconds / 3600:.0f} h of a hang of {REQUESTS} requests, {PLACES} with what the"
              " others wait for: sent", told["bytes"] / 1e6, MOST_MB, "MB"),
        Check("... spans in it", told["spans"], None),
        Check("... memory grown after the first tenth", shown["grown_mb"], MOST_GROWN_MB, "MB"),
        Check(f"{real_s:.0f} real seconds of it; beside: of the model", real_mb,
              model_mb * MOST_OFF, "MB", model_mb),
    ]  # fmt: skip


async def inside(child: Any, *, seconds: float = 0.0, hang: bool = False) -> Mapping[str, Any]:
    """Let requests hang; or let so many seconds pass for those that do."""
    if hang:
        # A task that nobody refers to may be collected.
        tasks = [asyncio.create_task(child.serve("/hang")) for _ in range(REQUESTS)]
        await asyncio.sleep(_BEGUN_S)
        child.kept = (Hang(child.running.probe), tasks)
        return {}
    return await asyncio.to_thread(child.kept[0].passes, seconds)


class Hang:
    """What is open in a probe, told by a publisher whose time passes as fast as it can tell."""

    def __init__(self, probe: Any) -> None:
        settings = ProbeSettings()
        self._probe = probe
        self._clock = FakeClock(time.time_ns())
        self._clock.advance(time.monotonic() - self._clock.monotonic_s())
        self._publisher = Publisher(
            probe.registry,
            probe.book,
            rhythm=Rhythm(settings.snapshot_after_s, settings.snapshot_longest_s),
            look=lambda: Activity(probe.registry, probe.watchdog.places()),
            guard=Guard(),
        )

    def passes(self, seconds: float) -> Mapping[str, Any]:
        """Tell what is due in so many seconds; return how memory grew after a tenth of them."""
        steps, settled_mb = int(seconds / POLL_S), resident_mb()
        for step in range(steps):
            self._clock.advance(POLL_S)
            if self._publisher.tell_due(self._clock):
                self._probe.flush()
            if step == steps // 10:
                settled_mb = resident_mb()
        return {"grown_mb": resident_mb() - settled_mb}


def resident_mb() -> float:
    """Return the memory that this process has now."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6
