"""What the commands share: their options, and how an error reads."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from why504.errors import Why504Error
from why504.stores.opening import METRICS, address_in

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Store = Annotated[
    Path,
    typer.Option(
        "--store",
        envvar="WHY504_STORE",
        help="Folder that `why504 receive` writes to, or Tempo's address: http://host:3200.",
    ),
]
Metrics = Annotated[
    str,
    typer.Option(
        "--metrics",
        envvar=METRICS,
        help="Prometheus' address, whose counters stand beside the spans: http://host:9090.",
    ),
]


def _folder(store: Path) -> Path:
    """Return the folder; an address is none, and must not become one."""
    if address_in(store) is not None:
        raise typer.BadParameter("an address is read from only: name a folder to write to")
    return store


Folder = Annotated[
    Path,
    typer.Option(
        "--store", envvar="WHY504_STORE", callback=_folder, help="Folder that is written to."
    ),
]
DEFAULT_STORE = Path(".why504")


@contextlib.contextmanager
def clear_errors() -> Iterator[None]:
    """Print what went wrong and what to do, without a traceback, and exit 2."""
    try:
        yield
    except Why504Error as error:
        Console(stderr=True).print(f"why504: {error}", style="red", markup=False)
        raise typer.Exit(2) from error
