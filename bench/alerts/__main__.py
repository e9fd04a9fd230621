"""Proves what the router promises: `python -m bench.alerts [section ...]`, all of them by default.

Exit code 0 = every figure is within its target, 1 = one is not, 2 = something did not start. A run
of some sections only is told and not kept.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.alerts import accept, baseline, kills, latency, messages, outage, real, restart
from bench.alerts.run import Run
from lab.faults import ROOT
from lab.prove.verdict import Journal, Verdict, publish
from why504.errors import Why504Error

SECTIONS: Final[Mapping[str, Callable[[Run], None]]] = {
    "accept": accept.measure,
    "restart": restart.measure,
    "latency": latency.measure,
    "messages": messages.measure,
    "outage": outage.measure,
    "alertmanager": real.measure,
    "baseline": baseline.measure,
    "kills": kills.measure,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 when every figure meets its target."""
    parser = argparse.ArgumentParser(prog="python -m bench.alerts", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="section", help=", ".join(SECTIONS))
    asked = parser.parse_args(arguments).sections or list(SECTIONS)
    if unknown := set(asked) - SECTIONS.keys():
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    errors = Console(stderr=True)
    (ROOT / ".run").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-alerts-", dir=ROOT / ".run"))
    say, verdict = Journal(errors), Verdict("bench-alerts")
    try:
        for name in asked:
            say(name)
            (folder / name).mkdir()
            SECTIONS[name](Run(folder / name, say, verdict))
    except Why504Error as error:
        errors.print(f"why504: {error}", style="red", markup=False)
        return 2
    except KeyboardInterrupt:
        errors.print("stopped")
        return 130
    code = publish(verdict, duration_s=say.elapsed_s, rehearsal=set(asked) != SECTIONS.keys())
    if code == 0:
        shutil.rmtree(folder)
    else:
        errors.print(f"the logs are in {folder}", markup=False)
    return code


if __name__ == "__main__":
    # A plain end would leave no time to stop the parts one by one.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    sys.exit(main())
