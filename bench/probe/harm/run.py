"""All questions, one after another."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from bench.probe.figures import RefusedError
from bench.probe.harm import idle, lag, locks, many, outage, registry, tenhours
from bench.probe.processes import Stage
from lab.prove.verdict import Check, Journal, Verdict

PARTS: Final[Mapping[str, Callable[[Stage, bool], list[Check]]]] = {
    "idle": idle.measure,
    "registry": registry.measure,
    "lag": lag.measure,
    "outage": outage.measure,
    "tenhours": tenhours.measure,
    "many": many.measure,
    "locks": locks.measure,
}


def measure(arguments: Sequence[str], journal: Journal) -> tuple[Verdict, bool]:
    """Return what was found, and whether the run was a rehearsal: brief, or not all of it."""
    parser = argparse.ArgumentParser(prog="make bench-harm ARGS=...", description=__doc__)
    parser.add_argument("--only", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--brief", action="store_true", help="a rehearsal")
    options = parser.parse_args(arguments)
    verdict = Verdict("bench-harm")
    refused = []
    for name in options.only:
        journal(name)
        with Stage.set() as stage:
            try:
                verdict.checks += PARTS[name](stage, options.brief)
            except RefusedError as error:
                refused.append(str(error))
    verdict.facts["refused"] = refused
    return verdict, options.brief or bool(refused) or set(options.only) != set(PARTS)
