"""`why504 import`: anybody's traces, out of files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from why504.cli.options import DEFAULT_STORE, Folder, clear_errors
from why504.errors import UnknownFormat

if TYPE_CHECKING:
    from why504.receive.importing import Imported
    from why504.receive.spool import Spool


def import_files(
    files: Annotated[list[Path], typer.Argument(help="Jaeger JSON, Zipkin v2 or OTLP/JSON.")],
    *,
    store: Folder = DEFAULT_STORE,
) -> None:
    """Read traces out of files, so that they can be explained."""
    from why504.receive.segments import KEEP_ALL
    from why504.receive.spool import Spool

    with clear_errors():
        # Old traces are what one imports: none is too old.
        spool = Spool(store, retention=KEEP_ALL)
        try:
            failed = [file for file in files if not _import(file, spool)]
        finally:
            spool.close()
    if len(failed) < len(files):
        typer.echo(f"explain them: why504 explain --store {store} --last all --slower-than 1s")
    if failed:
        raise typer.Exit(2)


def _import(file: Path, spool: Spool) -> bool:
    """Import one file, and say what came of it; one that can't be read keeps no other back."""
    from why504.receive.importing import import_file

    console = Console(stderr=True)
    with console.status(f"reading {file}") as status:
        try:
            imported = import_file(
                file, spool, lambda count: status.update(f"reading {file}: {count} spans")
            )
        except UnknownFormat as error:
            console.print(f"why504: {error}", style="red", markup=False, soft_wrap=True)
            return False
    typer.echo(_told(file, imported))
    return True


def _told(file: Path, imported: Imported) -> str:
    said = (
        f"{file}: {imported.format}, {imported.spans} spans in {len(imported.traces)} traces of "
        f"{len(imported.services)} services"
    )
    if imported.spans:
        said += f", {_clock(imported.start_ns)} to {_clock(imported.end_ns)} UTC"
    if imported.rejected:
        said += f"; {imported.rejected} left out: {imported.reason}"
    return said


def _clock(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")
