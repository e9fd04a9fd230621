"""`why504 import`: anybody's traces, out of files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from why504.cli.options import DEFAULT_STORE, Folder, clear_errors
from why504.errors import UnknownFormat

if TYPE_CHECKING:
    from why504.receive.boxes import Importing
    from why504.receive.importing import Imported
    from why504.receive.spool import Spool


def import_files(
    files: Annotated[
        list[Path], typer.Argument(help="Jaeger JSON, Zipkin v2, OTLP/JSON, or black boxes.")
    ],
    *,
    store: Folder = DEFAULT_STORE,
) -> None:
    """Read traces out of files, so that they can be explained.

    Of a black box, a file or a folder, only what the store does not have yet is stored.
    """
    from why504.receive.boxes import Importing
    from why504.receive.segments import KEEP_ALL
    from why504.receive.spool import Spool

    with clear_errors():
        # Old traces are what one imports: none is too old.
        spool = Spool(store, retention=KEEP_ALL)
        try:
            importing = Importing(store, spool)
            failed = [file for file in files if not _import(file, spool, importing)]
        finally:
            spool.close()
    if len(failed) < len(files):
        typer.echo(f"explain them: why504 explain --store {store} --last all --slower-than 1s")
    if failed:
        raise typer.Exit(2)


def _import(file: Path, spool: Spool, importing: Importing) -> bool:
    """Import one file, and say what came of it; one that can't be read keeps no other back."""
    from why504.receive import boxes
    from why504.receive.importing import import_file

    console = Console(stderr=True)
    if file.is_dir() or boxes.is_box(file):
        return _import_boxes(file, importing, console)
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


def _import_boxes(place: Path, importing: Importing, console: Console) -> bool:
    """Import the black boxes of a file or folder; say of each what came of it."""
    from why504.receive import boxes

    failed = 0
    parts: Sequence[Path] = ()
    try:
        parts = boxes.parts(place)
    except UnknownFormat as error:
        console.print(f"why504: {error}", style="red", markup=False, soft_wrap=True)
    for part in parts:
        try:
            imported = importing.add(boxes.read(part))
        except UnknownFormat as error:
            console.print(f"why504: {error}", style="red", markup=False, soft_wrap=True)
            failed += 1
            continue
        said = f"{part}: black box, {imported.new} spans and records"
        typer.echo(f"{said}; {imported.known} more were known" if imported.known else said)
    return len(parts) > failed


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
