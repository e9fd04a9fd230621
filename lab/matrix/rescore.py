"""Scores a run from what is kept of it: right after it was played, or with a later engine."""

from __future__ import annotations

import signal
from pathlib import Path

from lab.faults import fault
from lab.matrix.commit import commit
from lab.matrix.compared import ablated, baselines, stock_baseline
from lab.matrix.kept import course_of
from lab.matrix.page import Row
from lab.matrix.stored import OURS, STOCK, everything
from lab.score import Outcome, Seen, score
from why504.diagnose import explain
from why504.stores.parquet import ParquetStore


def scored(kept: Path) -> Outcome:
    """Return the outcome of the run that is kept in a folder.

    Raises:
        LabError: its fault is no longer in the table.
    """
    course = course_of(kept)
    evidence = everything(ParquetStore(kept / OURS))
    stock = everything(ParquetStore(kept / STOCK))
    incidents = explain(evidence, what_if=True)
    victims = [victim for incident in incidents for victim in incident.victims]
    seen = Seen(
        incidents=incidents,
        gateway_504=frozenset(course.gateway_504),
        stock=stock,
        clients=course.clients,
        verdict_after_s=course.verdict_after_s,
        duration_s=course.duration_s,
        seed=course.seed,
        under=course.under,
        baselines={
            **baselines(evidence, victims),
            "stock, longest span": stock_baseline(stock, victims),
        },
        ablations=ablated(evidence),
    )
    return score(fault(course.fault), course.expected, seen)


def row_of(kept: Path) -> Row:
    """Return the outcome as the matrix records it, with the commits of its run and its score."""
    told = {"played_at": course_of(kept).played_at, "scored_at": commit()}
    return Row(scored(kept).as_json() | told)


def heed_no_ctrl_c() -> None:
    """Leave ctrl-C to the process that collects; here, since no `__main__` can be spawned anew."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
