"""`why504 run`: a program as it is, with the probe in each of its Python processes."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from why504.probe import begin

PASSED_ON: Final = {"ignore_unknown_options": True, "allow_interspersed_args": False}
"""Options behind the command are the command's."""
_NOT_FOUND: Final = 127
_NOT_RUNNABLE: Final = 126
_PATH: Final = "PYTHONPATH"


def run(
    command: Annotated[
        list[str], typer.Argument(help="A command and its arguments: uvicorn app:app --workers 2")
    ],
) -> None:
    """Run a program with the probe in it, without a change of its code.

    For uvicorn, gunicorn, hypercorn, `python -m app`, a worker: every Python process that COMMAND
    starts watches itself. The command takes this one's place: signals and its exit code are its
    own. Settings are `WHY504_*` in the environment (docs/instrumenting.md); where something is
    amiss, the program says why on stderr, and runs without.
    """
    folder = str(Path(begin.__file__).with_name("path"))
    others = [one for one in os.environ.get(_PATH, "").split(os.pathsep) if one not in ("", folder)]
    os.environ[_PATH] = os.pathsep.join([folder, *others])
    # Beside our own interpreter, too: people call /app/.venv/bin/why504 without that on the PATH.
    beside = os.path.dirname(sys.executable)
    program = shutil.which(command[0]) or shutil.which(command[0], path=beside)
    if program is None:
        typer.echo(f"why504: {command[0]}: command not found", err=True)
        raise typer.Exit(_NOT_FOUND)
    try:
        os.execv(program, command)  # noqa: S606 it is what was asked for
    except OSError as error:
        typer.echo(f"why504: {command[0]}: {error.strerror}", err=True)
        raise typer.Exit(_NOT_RUNNABLE) from error
