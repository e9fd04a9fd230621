"""Hangs a real service and says why: `python -m lab.demo [FAULT] [--list] [--json]`.

Progress goes to standard error, the answer to standard output. Without `--json` the incident
explorer stays open on the evidence until ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lab.faults import FAULTS, ROOT, fault
from lab.ladder import ladder_in
from lab.matrix.stored import OURS
from lab.run import run
from lab.score import Outcome
from lab.stack.ports import free_port
from lab.stack.process import Process, Program, start
from lab.stack.ready import answers
from why504 import report
from why504.errors import Why504Error

WRONG: Final = 1
FAILED: Final = 2
INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    fault: str
    folder: Path
    list_faults: bool
    as_json: bool
    explorer: bool
    template: Path | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code: 0, 1 = another cause was named, 2 = the lab failed, 130 = ctrl-C."""
    options = _options(arguments)
    errors = Console(stderr=True)
    try:
        if options.list_faults:
            return _list(as_json=options.as_json)
        outcome = _play(options, errors)
        if options.as_json:
            print(json.dumps({**outcome.as_json(), "store": str(options.folder / OURS)}, indent=2))
        else:
            _tell(outcome, options.folder)
            if options.explorer:
                _explore(options.folder, _address(outcome), errors)
    except Why504Error as error:
        errors.print(f"why504: {error}", style="red", markup=False)
        return FAILED
    except KeyboardInterrupt:
        errors.print("stopped")
        return INTERRUPTED
    return 0 if outcome.correct else WRONG


def _options(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="why504 demo", description=__doc__)
    parser.add_argument("fault", nargs="?", default=FAULTS[0].id, metavar="FAULT")
    parser.add_argument("--list", action="store_true", help="list the faults and end")
    parser.add_argument("--json", action="store_true", help="print one JSON document and end")
    parser.add_argument("--folder", type=Path, help="where logs and evidence go")
    parser.add_argument("--no-explorer", action="store_true", help="end after the answer")
    parser.add_argument("--template", type=Path, help="see lab/matrix/template.py")
    given = parser.parse_args(arguments)
    folder: Path = given.folder or Path(".run") / f"demo-{given.fault}-{time.strftime('%H%M%S')}"
    return Options(
        given.fault, folder.resolve(), given.list, given.json, not given.no_explorer, given.template
    )


def _list(*, as_json: bool) -> int:
    if as_json:
        rows = [{"fault": row.id, "description": row.description} for row in FAULTS]
        print(json.dumps(rows, indent=2))
        return 0
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("fault", "what happens", "cause", "mechanism"):
        table.add_column(heading)
    for row in FAULTS:
        table.add_row(Text(row.id, "bold"), Text(row.description), row.trigger, row.mechanism)
    Console().print(table)
    return 0


def _play(options: Options, errors: Console) -> Outcome:
    """Run the fault, with a line a step and a spinner while it works."""
    row = fault(options.fault)
    began_s = time.monotonic()
    errors.print(f"[bold]why504 demo {row.id}[/bold]  about half a minute")
    with errors.status("") as status:

        def progress(text: str) -> None:
            passed_s = time.monotonic() - began_s
            errors.print(Text.assemble((f"{passed_s:5.1f} s  ", "dim"), text), soft_wrap=True)
            status.update(Text(text, "dim"))

        return run(
            row.id, folder=options.folder, seed=1, template=options.template, progress=progress
        )


def _tell(outcome: Outcome, folder: Path) -> None:
    console = Console()
    for incident in outcome.incidents:
        console.print(report.render(incident))
    if not outcome.incidents:
        console.print(report.render_nothing(outcome.requests))
    verdict = Text("right" if outcome.correct else "wrong", "green" if outcome.correct else "red")
    console.print(
        Text.assemble(
            f"Injected {outcome.fault}, named {outcome.trigger} through {outcome.mechanism}: ",
            verdict,
            ". " + "; ".join(outcome.problems) if outcome.problems else ".",
        )
    )
    if outcome.gateway_504:
        console.print(
            f"Of {outcome.gateway_504} × 504 at the gateway why504 explains {outcome.explained}; "
            f"stock OpenTelemetry in the same process has any span of "
            f"{outcome.victims_with_stock_span}, and the request's own span of "
            f"{outcome.victims_with_stock_server_span}."
        )
    if outcome.seconds_first_504_to_verdict is not None:
        after_s = outcome.seconds_first_504_to_verdict
        console.print(f"From the first 504 to the named cause: {after_s:.1f} s.")
    console.print(Text(f"Evidence: {folder / OURS}", "dim"))


def _address(outcome: Outcome) -> str:
    """Return where the explorer shows the incident: of several the one that hit most."""
    if not outcome.incidents:
        return "/"
    return f"/incident?incident={max(outcome.incidents, key=lambda each: each.count).id}"


def _explore(folder: Path, address: str, errors: Console) -> None:
    """Keep the incident explorer open on the evidence until ctrl-C."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with _explorer(folder, port, url) as explorer:
        shown = Text(f"\nIncident explorer: {url}{address}   (ctrl-C ends it)")
        # Not wrapped: an address that is cut opens something else.
        Console().print(shown, soft_wrap=True)
        try:
            while explorer.alive:
                time.sleep(0.5)
        except KeyboardInterrupt:
            errors.print("explorer closed")


def _explorer(folder: Path, port: int, url: str) -> Process:
    page = ROOT / "dashboards" / "explorer.py"
    argv = [sys.executable, "-m", "streamlit", "run", str(page)]
    argv += ["--server.port", str(port), "--server.address", "127.0.0.1"]
    argv += ["--server.headless", "true", "--browser.gatherUsageStats", "false"]
    path = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    environment = {"WHY504_STORE": str(folder / OURS), "PYTHONPATH": path}
    ladder = ladder_in(folder)
    if ladder:
        environment["WHY504_LIMITS"] = str(ladder)
    program = Program(argv, "explorer", folder, environment)
    return start(program, ready=answers(f"{url}/_stcore/health"), timeout_s=60)


if __name__ == "__main__":
    # A plain end would leave no time to stop the parts one by one; a leash would end them anyway.
    # A shell's background jobs inherit an ignored SIGINT, so ctrl-C is asked for by name.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    sys.exit(main())
