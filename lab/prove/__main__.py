"""Proves a promise of the service: `python -m lab.prove PROOF [--brief]`.

Exit code 0 = proven, 1 = a target was missed, 2 = a part did not start, 130 = stopped.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from rich.console import Console

from lab.faults import ROOT
from lab.prove import alerts, broker, dashboards, database, hang, llm, nightly, quiet, strangers
from lab.prove.run import Run
from lab.prove.verdict import Journal, Verdict, publish
from why504.errors import Why504Error

PROOFS: Final[Mapping[str, Callable[[Run], Verdict]]] = {
    "broker": broker.prove,
    "llm": llm.prove,
    "database": database.prove,
    "nightly": nightly.prove,
    "alerts": alerts.prove,
    "quiet": quiet.prove,
    "dashboards": dashboards.prove,
    "strangers": strangers.prove,
    "hang": hang.prove,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a proof in a folder of its own, which stays only if something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m lab.prove", description=__doc__)
    parser.add_argument("proof", choices=PROOFS)
    parser.add_argument(
        "--brief", action="store_true", help="a rehearsal of seconds: proves nothing, keeps nothing"
    )
    parser.add_argument("--fault", default="F1", help="how `dashboards` hangs the service")
    parser.add_argument("--lasts-s", type=float, help="how long `hang` lasts, such as 36000")
    given = parser.parse_args(arguments)
    errors = Console(stderr=True)
    (ROOT / ".run").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"prove-{given.proof}-", dir=ROOT / ".run"))
    say = Journal(errors)
    try:
        with ExitStack() as stack:
            verdict = PROOFS[given.proof](
                Run(folder, say, given.brief, stack, given.fault, given.lasts_s)
            )
    except Why504Error as error:
        errors.print(f"why504: {error}", style="red", markup=False)
        return 2
    except KeyboardInterrupt:
        errors.print("stopped")
        return 130
    # A cluster has 40 MB, and nothing that was not compared.
    shutil.rmtree(folder / "postgres" / "data", ignore_errors=True)
    code = publish(verdict, duration_s=say.elapsed_s, rehearsal=given.brief)
    if code == 0:
        shutil.rmtree(folder)
    else:
        errors.print(f"the logs are in {folder}", markup=False)
    return code


if __name__ == "__main__":
    # As in lab/demo.py: a plain end would leave no time to stop the parts one by one.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    sys.exit(main())
