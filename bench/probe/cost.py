"""`make bench-probe`: CPU that instrumentation adds to a request, side by side in one run.

Each variant has a process of its own. In every round all of them serve the same requests, in random
order; what counts is the CPU time of the whole process until everything is sent. Judged is the ASGI
application without a server; the same behind uvicorn, on loopback, is shown. docs/cost.md.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from bench.probe import client
from bench.probe.figures import MOST_APART, apart, believable, standard_error, usual
from bench.probe.processes import Served, Stage
from bench.probe.variants import AGAIN, NOTHING, OURS, STOCK, VARIANTS
from lab.prove.verdict import Check, Journal, Verdict

CASTS: Final = 36
"""How often processes are started anew: of the same code one has luck with where its memory lies
and another has not, which is more than any number of rounds makes up for."""
ROUNDS: Final = 8
"""Of each cast."""
PEERS_EVERY: Final = 9
"""Casts; what is judged, and what it is judged by, is there in each."""
SERVED_ROUNDS: Final = 4
SERVED_S: Final = 3.0
SERVED_PER_S: Final = 100.0
"""Requests a second behind uvicorn: batches are as small then as they are in a real service."""
IDLE_S: Final = 30.0
FULL: Final = 12
"""Casts below which a run is a rehearsal; one without all peers is, too."""


class Workload(NamedTuple):
    """One kind of request."""

    name: str
    path: str
    each: int
    """Requests of a round."""
    share: float
    """Of what stock OpenTelemetry adds, the probe may add."""
    aim: str


WORKLOADS: Final = (
    Workload("trivial", "/trivial", 100, 1 / 5, "1/10"),
    Workload("three queries", "/three/7", 30, 1 / 4, "1/7"),
)
HERE: Final = ""
SERVED: Final = f", behind uvicorn at {SERVED_PER_S:.0f} a second"
"""How the same request is told that went through a server."""


_HOW: Final = (HERE, SERVED)
JUDGED: Final = (NOTHING, AGAIN, STOCK, OURS)


class Row(NamedTuple):
    """What one variant costs on one workload, in microseconds of CPU a request."""

    variant: str
    whole_us: float
    added_us: float
    """To what nothing takes, which is measured twice."""
    loop_us: float
    """Added on the thread of the loop."""
    ratio: float
    """Of what stock OpenTelemetry adds."""
    spans: float


class Samples:
    """CPU microseconds a request, by variant and workload: of each cast one a round."""

    def __init__(self) -> None:
        self.total: dict[tuple[str, str], list[list[float]]] = defaultdict(list)
        self.loop: dict[tuple[str, str], list[list[float]]] = defaultdict(list)
        self.requests: dict[tuple[str, str], int] = defaultdict(int)
        self.spans: dict[tuple[str, str], int] = defaultdict(int)
        self._received: dict[str, int] = {}
        self._casts = 0

    def note(
        self, key: tuple[str, str], used: Mapping[str, Any], count: int, received: int
    ) -> None:
        """Keep one round of one variant; `received` = its spans so far, of all workloads."""
        for kept, what in ((self.total, "total_s"), (self.loop, "loop_s")):
            while len(kept[key]) < self._casts:
                kept[key].append([])
            kept[key][-1].append(used[what] / count * 1e6)
        self.requests[key] += count
        self.spans[key] += received - self._received[key[0]]
        self._received[key[0]] = received

    def begin_cast(self, received: Mapping[str, int]) -> None:
        """Begin with new processes, whose spans so far belong to no round."""
        self._casts += 1
        self._received = dict(received)

    def rows(self, workload: str, without: int | None = None) -> list[Row]:
        """Return what each variant costs, in the order of the table of variants.

        Args:
            workload: which, and where.
            without: a cast that is left out.
        """
        keys = [(v, workload) for v in VARIANTS if (v, workload) in self.total]
        if not keys:
            return []
        of = {key[0]: usual(self.total[key], without) for key in keys}
        loops = {key[0]: usual(self.loop[key], without) for key in keys}
        bare_us, bare_loop_us = _bare(of), _bare(loops)
        stock_us = of[STOCK] - bare_us
        return [
            Row(
                variant=variant,
                whole_us=whole_us,
                added_us=whole_us - bare_us,
                loop_us=loops[variant] - bare_loop_us,
                ratio=(whole_us - bare_us) / stock_us,
                spans=self.spans[variant, workload] / self.requests[variant, workload],
            )
            for variant, whole_us in of.items()
        ]

    def wavers(self, variant: str, workload: str) -> float:
        """Return the standard error of a variant's ratio, by what it is without each cast."""
        without_each = []
        for cast in range(self._casts):
            of = {row.variant: row.ratio for row in self.rows(workload, without=cast)}
            without_each.append(of[variant])
        return standard_error(without_each)


def _bare(of: Mapping[str, float]) -> float:
    both = [of[variant] for variant in (NOTHING, AGAIN) if variant in of]
    return sum(both) / len(both)


class Measured(NamedTuple):
    """All that a run showed."""

    samples: Samples
    idle: Mapping[str, float]
    """Share of a core, by variant."""
    missing: Sequence[str]
    rehearsal: bool
    """Whether it was too short to mean anything."""

    def tables(self) -> Mapping[str, Sequence[Row]]:
        """Return what each variant costs, by workload."""
        found = {w.name + how: self.samples.rows(w.name + how) for w in WORKLOADS for how in _HOW}
        return {name: rows for name, rows in found.items() if rows}


def measure(arguments: Sequence[str], journal: Journal) -> Measured:
    """Run all rounds."""
    parser = argparse.ArgumentParser(prog="make bench-probe ARGS=...", description=__doc__)
    parser.add_argument("--casts", type=int, default=CASTS, help="%(default)s")
    parser.add_argument(
        "--only", nargs="*", default=list(VARIANTS), metavar="PEER", help="which; none: no peer"
    )
    options = parser.parse_args(arguments)
    chosen = [v for v in VARIANTS if v in options.only or v in JUDGED]
    missing = [v for v in chosen if not VARIANTS[v].is_installed()]
    for variant in missing:
        journal(f"{VARIANTS[variant].title} is not installed: `make bench-probe` does it")
    rehearsal = options.casts < FULL or len(chosen) < len(VARIANTS)
    samples = Samples()
    idle: Mapping[str, float] = {}
    for cast in range(options.casts):
        journal(f"cast {cast + 1} of {options.casts}")
        wanted = JUDGED if cast % PEERS_EVERY else chosen
        with Stage.set() as stage:
            served = [stage.serve(variant) for variant in wanted if variant not in missing]
            for one in served:
                one.wait_ready()
            _warm(served)
            if not cast:
                idle = _idle(served, 5.0 if rehearsal else IDLE_S, journal)
            samples.begin_cast(
                {one.variant: stage.sink.received(one.variant)["spans"] for one in served}
            )
            _rounds(stage, served, samples, seed=cast)
            if not cast and not rehearsal:
                _served_rounds(stage, served, samples, journal)
    return Measured(samples, idle, missing, rehearsal)


@dataclass(slots=True)
class Costs(Verdict):
    """What was judged, and the tables that it was taken from."""

    measured: Measured | None = None

    def as_json(self, *, duration_s: float) -> Mapping[str, Any]:
        """Return everything."""
        told = dict(Verdict.as_json(self, duration_s=duration_s))
        if self.measured is not None:
            tables = self.measured.tables().items()
            told["tables"] = {name: [row._asdict() for row in rows] for name, rows in tables}
            told["idle"] = dict(self.measured.idle)
        return told


def judge(measured: Measured) -> Verdict:
    """Return what was measured, beside what was to be shown.

    Raises:
        RefusedError: A and A are too far apart.
    """
    verdict = Costs("bench-probe", measured=measured)
    tables = measured.tables()
    for workload in WORKLOADS:
        rows = {row.variant: row for row in tables[workload.name]}
        believable(workload.name, rows[NOTHING].whole_us, rows[AGAIN].whole_us)
        stock, ours = rows[STOCK].added_us, rows[OURS].added_us
        verdict.checks += [
            Check(f"us added, {workload.name}", ours, stock * workload.share, "us", stock),
            Check(f"... of stock's; aim {workload.aim}", ours / stock, workload.share, "", 1.0),
            Check("... give or take", measured.samples.wavers(OURS, workload.name), None),
            Check(f"A/A apart, {workload.name}",
                  apart(rows[NOTHING].whole_us, rows[AGAIN].whole_us), MOST_APART),
        ]  # fmt: skip
    verdict.facts["not installed"] = list(measured.missing)
    return verdict


def _idle(served: Sequence[Served], seconds: float, journal: Journal) -> Mapping[str, float]:
    """Return the share of a core that each variant uses while nothing is asked of it."""
    journal(f"{len(served)} processes, idle for {seconds:.0f} s")
    for one in served:
        one.begin("idle", seconds=seconds)
    return {one.variant: one.end()["total_s"] / seconds for one in served}


def _warm(served: Sequence[Served]) -> None:
    """Have each serve a round that does not count: what starts late starts."""
    for one in served:
        for workload in WORKLOADS:
            one.ask("requests", path=workload.path, count=workload.each)


def _rounds(stage: Stage, served: Sequence[Served], samples: Samples, seed: int) -> None:
    order = random.Random(seed)  # noqa: S311 - an order, no secret
    todo = list(served)
    for _ in range(ROUNDS):
        order.shuffle(todo)
        for one in todo:
            for workload in WORKLOADS:
                _round(stage, one, workload, samples)


def _round(stage: Stage, one: Served, workload: Workload, samples: Samples) -> None:
    used = one.ask("requests", path=workload.path, count=workload.each)
    received = stage.sink.received(one.variant)["spans"]
    samples.note((one.variant, workload.name + HERE), used, workload.each, received)


def _served_rounds(
    stage: Stage, served: Sequence[Served], samples: Samples, journal: Journal
) -> None:
    order = random.Random(504)  # noqa: S311 - an order, no secret
    todo = [(one, workload) for one in served for workload in WORKLOADS]
    for number in range(SERVED_ROUNDS):
        journal(f"behind uvicorn, round {number + 1} of {SERVED_ROUNDS}")
        order.shuffle(todo)
        for one, workload in todo:
            _served_round(stage, one, workload, samples)


def _served_round(stage: Stage, one: Served, workload: Workload, samples: Samples) -> None:
    began = one.ask("clock")
    path = workload.path
    took = client.paced(one.port, lambda number: path, SERVED_PER_S, SERVED_S)
    ended = one.ask("clock")
    received = stage.sink.received(one.variant)["spans"]
    used = {what: ended[what] - began[what] for what in ended}
    samples.note((one.variant, workload.name + SERVED), used, len(took), received)
