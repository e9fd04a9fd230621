"""What clients see, and what memory does, while the collector is gone, slow or out of its mind."""

from __future__ import annotations

import random
import re
import socket
import urllib.request
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bench.probe import client
from bench.probe.figures import MOST_APART, believable, percentile
from bench.probe.processes import Served, Stage
from bench.probe.variants import OURS
from lab.prove.verdict import Check
from why504 import names

ABSENT: Final = "absent"
LATE: Final = "slow"
"""Takes it all in the end, and whether something has to go before depends on the machine."""
WELL: Final = ("healthy", "healthy again")
ILL: Final = {
    "silent": "black-holed",
    LATE: "1 s an answer",
    "garbage": "answering garbage",
    ABSENT: "absent",
}
CASTS: Final = 4
"""How often all processes are started anew: of the same code one has luck with where its memory
lies and another has not."""
ROUNDS: Final = 12
"""Of each cast."""
SECONDS: Final = 1.2
"""Short, so that a machine's slow seconds are everybody's."""
PER_S: Final = 30.0
"""So few that none waits for another, even on a busy machine."""
COLD: Final = 6
"""Requests of a round that do not count: the process has rested while others had their turn."""
FILL: Final = 1_200
"""Requests of ten spans before, so that what waits for the collector fills its queue."""
WARM: Final = 60
"""Requests of the kind that is measured, before it is."""
MOST_GROWN_MB: Final = 10.0
_COUNTS: Final = re.compile(
    r"^(why504_\w*(?:errors|dropped|lost)\w*_total)(?:\{.*\})? (\S+)", re.MULTILINE
)
"""Whatever the probe counts of what it could not do."""


def measure(stage: Stage, brief: bool) -> list[Check]:
    """Return p99 of requests, growth of memory, and what was counted, by the collector's state.

    Of all requests to one state together: of a hundred, the second slowest is anybody's.

    Raises:
        RefusedError: p99 beside two healthy collectors differs by itself.
    """
    casts = [_cast(stage, number) for number in range(1 if brief else CASTS)]
    p99_s = {n: percentile([s for c in casts for s in c[n].took_s], 0.99) for n in (*WELL, *ILL)}
    grown_mb = {n: max(c[n].grown_mb for c in casts) for n in p99_s}
    lost_spans = {n: min(c[n].lost_spans for c in casts) for n in p99_s}
    well, again = (p99_s[name] for name in WELL)
    believable("p99 beside a healthy collector", well, again)
    usual_s = (well + again) / 2
    told = []
    for name, words in ILL.items():
        told += [
            Check(f"collector {words}: p99 of requests", p99_s[name] * 1000,
                  usual_s * (1 + MOST_APART) * 1000, "ms", usual_s * 1000),
            Check("... memory grown once the queue is full", grown_mb[name], MOST_GROWN_MB, "MB",
                  grown_mb[WELL[0]]),
            Check("... counted as lost", lost_spans[name], None if name == LATE else 1, "",
                  lost_spans[WELL[0]], at_least=True),
        ]  # fmt: skip
    return told


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of one process."""

    took_s: Sequence[float]
    """Of each request."""
    grown_mb: float
    lost_spans: float


def _cast(stage: Stage, number: int) -> Mapping[str, Seen]:
    """Return what was seen of processes that were started anew, by the collector's state."""
    served = {name: _start(stage, name, number) for name in (*WELL, *ILL)}
    for one in served.values():
        one.wait_ready().begin("requests", path="/spans", count=FILL, drained=False)
    for one in served.values():
        one.end()
        one.ask("requests", path=_path(0), count=WARM, drained=False)
    before_mb = {name: one.resident_mb() for name, one in served.items()}
    took_s = _rounds(served, number)
    seen = {
        name: Seen(took_s[name], one.resident_mb() - before_mb[name], lost(one))
        for name, one in served.items()
    }
    for one in served.values():
        one.close()
    return seen


def _start(stage: Stage, name: str, number: int) -> Served:
    sender = f"outage-{name}-{number}".replace(" ", "-")
    if name == ABSENT:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        return stage.serve(OURS, name=sender, sink=f"http://127.0.0.1:{port}/{sender}")
    return stage.serve(OURS, name=sender, manner="healthy" if name in WELL else name)


def _rounds(served: Mapping[str, Served], seed: int) -> Mapping[str, Sequence[float]]:
    """Return what each request took, in seconds."""
    took_s: dict[str, list[float]] = defaultdict(list)
    order = random.Random(seed)  # noqa: S311 - an order, no secret
    todo = list(served)
    for _ in range(ROUNDS):
        order.shuffle(todo)
        for name in todo:
            took_s[name] += client.paced(served[name].port, _path, PER_S, SECONDS)[COLD:]
    return took_s


def _path(number: int) -> str:
    return f"/three/{number % 50}"


def lost(one: Served) -> float:
    """Return what the probe says it could not send, or did wrong."""
    address = f"http://127.0.0.1:{one.metrics_port}/metrics"
    with urllib.request.urlopen(address, timeout=60) as answer:
        return counted(answer.read().decode())


def counted(metrics: str) -> float:
    """Return the same of what `/metrics` says."""
    told = _COUNTS.findall(metrics)
    return sum(float(value) for name, value in told if name != names.METRIC_INFLIGHT_DROPPED)
