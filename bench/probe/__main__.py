"""What the probe costs: `python -m bench.probe cost | harm | write`.

Exit code 0 = within every target, 1 = a target was missed, 3 = refused: the machine was too noisy
for the run to tell anything.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from bench.probe import cost, tables
from bench.probe.figures import REFUSED, RefusedError
from lab.prove.verdict import Journal, publish


def main(arguments: Sequence[str]) -> int:
    """Run one of them."""
    which, *rest = arguments or ["cost"]
    if which == "write":
        return tables.written()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))  # so that no process is left behind
    journal = Journal()
    try:
        measured = cost.measure(rest, journal)
        tables.shown(measured)
        verdict = cost.judge(measured)
    except RefusedError as error:
        print(f"{which}: REFUSED. {error}", file=sys.stderr)
        return REFUSED
    return publish(verdict, duration_s=journal.elapsed_s, rehearsal=measured.rehearsal)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
