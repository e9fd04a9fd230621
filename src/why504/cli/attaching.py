"""`why504 attach`: from the id of a process that hangs to a first guess at why."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

from why504.cli.options import Json, clear_errors
from why504.errors import AttachError, AttachForbidden, MissingExtra

if TYPE_CHECKING:
    from why504.diagnose.hung.snapshot import Look

_AT_ONCE: Final = 4
_MOST_CHILDREN: Final = 32


def attach(
    pid: Annotated[int, typer.Argument(min=1, help="Id of the process, as `ps` shows it.")],
    *,
    children: Annotated[
        bool, typer.Option("--children", help="Also look at the Python processes that it started.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Look at a hung Python process that has no probe: where it is, and a first guess at why.

    Takes about two seconds, and neither stops the process nor writes to it. Needs root or the
    capability SYS_PTRACE, unless the process is of the same user on a machine that allows it.
    """
    with clear_errors():
        # The taxonomy's table comes with the engine, and that with numpy: only where it is wanted.
        try:
            from why504 import attach as reading
            from why504.diagnose.hung.guess import guess
            from why504.diagnose.hung.scene import Scene
        except ModuleNotFoundError as error:
            raise MissingExtra("attach") from error
        looks, failures = _looks(pid, children)
    scenes = [(scene, guess(scene)) for scene in map(Scene, looks)]
    if as_json:
        typer.echo(json.dumps([reading.as_json(*one) for one in scenes], indent=2))
    else:
        for one in scenes:
            Console().print(reading.render(*one))
    for failure in failures:
        Console(stderr=True).print(f"why504: {failure}", style="red", markup=False)


def _looks(pid: int, children: bool) -> tuple[Sequence[Look], Sequence[AttachError]]:
    """Return a look at each process, and why others could not be looked at."""
    from why504.watch.hung.look import look_at

    first = look_at(pid)
    if not children:
        return [first], []
    looks, failures = [first], []
    pids = [child.pid for child in first.facts.children[:_MOST_CHILDREN]]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for future in [pool.submit(look_at, one) for one in pids]:
            try:
                looks.append(future.result())
            except AttachForbidden:
                raise
            except AttachError as error:
                failures.append(error)
    return looks, failures
