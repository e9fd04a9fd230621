"""A process that has served and is idle now: how much of a core the probe uses."""

from __future__ import annotations

from typing import Final

from bench.probe.processes import Stage
from bench.probe.variants import NOTHING, OURS
from lab.prove.verdict import Check

SECONDS: Final = 60.0
MOST_PERCENT: Final = 0.5


def measure(stage: Stage, brief: bool) -> list[Check]:
    """Return the share of a core, in percent, beside that of a process without a probe."""
    seconds = SECONDS / 6 if brief else SECONDS
    both = [stage.serve(variant) for variant in (NOTHING, OURS)]
    for one in both:
        one.wait_ready()
        one.ask("requests", path="/three/7", count=50)
    for one in both:
        one.begin("idle", seconds=seconds)
    bare, ours = (one.end()["total_s"] / seconds * 100 for one in both)
    return [Check("idle: CPU added, % of a core", ours - bare, MOST_PERCENT, "%", bare)]
