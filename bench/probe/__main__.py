"""What the probe costs: `python -m bench.probe cost | harm | bytecodes | write`.

Exit code 0 = within every target, 1 = a target was missed, 3 = refused: the machine was too noisy
for the run, or for a part of it, to tell anything.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from bench.probe import bytecodes, cost, tables
from bench.probe.figures import REFUSED, RefusedError
from bench.probe.harm import run as harm
from lab.prove.verdict import Journal, publish

_NICER: Final = -10
"""Where it is allowed: whoever is interrupted finds caches that others have filled."""


def main(arguments: Sequence[str]) -> int:
    """Run one of them."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))  # so that no process is left behind
    which, *rest = arguments
    if which == "write":
        return tables.written()
    if which == "bytecodes":
        return bytecodes.show(rest)
    with suppress(PermissionError):
        os.nice(_NICER)
    return {"cost": _cost, "harm": _harm}[which](rest, Journal())


def _cost(arguments: Sequence[str], journal: Journal) -> int:
    measured = cost.measure(arguments, journal)
    tables.shown(measured)
    try:
        verdict = cost.judge(measured)
    except RefusedError as error:
        return _refused([str(error)])
    return publish(verdict, duration_s=journal.elapsed_s, rehearsal=measured.rehearsal)


def _harm(arguments: Sequence[str], journal: Journal) -> int:
    verdict, rehearsal = harm.measure(arguments, journal)
    code = publish(verdict, duration_s=journal.elapsed_s, rehearsal=rehearsal)
    return _refused(verdict.facts["refused"]) if verdict.facts["refused"] else code


def _refused(why: Sequence[str]) -> int:
    for one in why:
        print(f"REFUSED. {one}", file=sys.stderr)
    return REFUSED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
