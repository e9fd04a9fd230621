"""60,000 spans open at once, of which 50,000 may be kept."""

from __future__ import annotations

import asyncio
import re
import urllib.request
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry import trace

from bench.probe.processes import Served, Stage
from bench.probe.variants import LEAN_STOCK, OURS
from lab.prove.verdict import Check
from why504 import names

SPANS: Final = 60_000
KEPT: Final = 50_000
TOLD_S: Final = 30.0
"""For which snapshots of them are told, 2,000 each 200 ms."""
MOST_GROWN_MB: Final = 50.0
"""While they are told: what waits for the collector is bounded."""


def measure(stage: Stage, brief: bool) -> list[Check]:
    """Return what open spans take, beside those of OpenTelemetry's SDK alone."""
    ours, stock = (stage.serve(v, name=f"many-{v}").wait_ready() for v in (OURS, LEAN_STOCK))
    each, beside = (_open(one) for one in (ours, stock))
    before_mb = ours.resident_mb()
    ours.ask("idle", seconds=TOLD_S / 5 if brief else TOLD_S)
    grown_mb = ours.resident_mb() - before_mb
    return [
        Check("60,000 open spans: bytes each", each, None, "B", beside),
        Check("... memory grown while they are told", grown_mb, MOST_GROWN_MB, "MB"),
        Check("... counted as not kept", _dropped(ours), SPANS - KEPT, at_least=True),
    ]


def _open(one: Served) -> float:
    """Return the bytes of resident memory that one more open span takes."""
    one.ask("requests", path="/trivial", count=100)
    before_mb = one.resident_mb()
    one.ask("part", module="harm.many", spans=SPANS)
    return (one.resident_mb() - before_mb) * 1e6 / SPANS


def _dropped(one: Served) -> float:
    address = f"http://127.0.0.1:{one.metrics_port}/metrics"
    with urllib.request.urlopen(address, timeout=60) as answer:
        text = answer.read().decode()
    found = re.search(rf"^{names.METRIC_INFLIGHT_DROPPED} (\S+)", text, re.M)
    return float(found.group(1)) if found else float("nan")


async def inside(child: Any, *, spans: int) -> Mapping[str, Any]:
    """Open so many spans and never end them."""
    tracer = trace.get_tracer("bench")
    child.kept = [tracer.start_span("open", attributes={"n": n}) for n in range(spans)]
    await asyncio.sleep(0)
    return {}
