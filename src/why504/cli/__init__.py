"""The command line, and the only place where the parts of why504 meet."""

from __future__ import annotations

import typer

from why504 import __version__
from why504.cli.alerting import alerts
from why504.cli.attaching import attach
from why504.cli.explaining import explain
from why504.cli.importing import import_files
from why504.cli.initialising import init
from why504.cli.looking import doctor, ps
from why504.cli.programs import demo, explorer, matrix, postmortem
from why504.cli.receiving import receive, watch
from why504.cli.running import PASSED_ON, run
from why504.cli.watching import now

app = typer.Typer(
    name="why504",
    help="Tells why a Python service answered 504.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


for command in (
    init, demo, matrix, receive, watch, explain, postmortem, now, ps, attach, doctor, explorer,
):  # fmt: skip
    app.command()(command)
app.command("import")(import_files)
app.command("run", context_settings=PASSED_ON)(run)
app.add_typer(alerts, name="alerts")
