"""Commands that go on as another program: the lab's demo and matrix, the explorer."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from why504.cli.options import DEFAULT_STORE, Json, Metrics, Store, clear_errors
from why504.errors import ConfigError
from why504.stack import folder as stack_folder
from why504.stores.opening import METRICS, address_in

_HERE: Final = "127.0.0.1"
_LANGUAGES: Final = ("en", "vi")
_EXPLORER: Final = ("streamlit", "altair", "vl_convert", "duckdb")
"""What the explorer needs besides; the extra `explorer` brings it."""


def demo(
    fault: Annotated[str, typer.Argument(help="Which fault to inject; see --list.")] = "F1",
    *,
    list_faults: Annotated[bool, typer.Option("--list", help="List the faults and end.")] = False,
    as_json: Json = False,
) -> None:
    """Hang a real service the way production hung, and explain it."""
    flags = ["--list"] * list_faults + ["--json"] * as_json
    _run_beside("lab.demo", [fault, *flags])


def matrix(
    faults: Annotated[list[str] | None, typer.Argument(help="Only these faults.")] = None,
    *,
    condition: Annotated[
        list[str] | None, typer.Option(help="Only under this condition; may be repeated.")
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="Runs of each fault and condition.")] = 3,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Only so many runs, of every fault and condition.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="So many runs at once.")] = 2,
    resume: Annotated[bool, typer.Option(help="Keep the runs that are already recorded.")] = False,
    again: Annotated[
        bool,
        typer.Option(help="Score the kept evidence anew and play nothing; with --resume the rest."),
    ] = False,
    page: Annotated[
        bool, typer.Option(help="Write docs/matrix.md though runs are missing; it says how many.")
    ] = False,
) -> None:
    """Inject every fault under every condition and score what is named, beside simpler methods."""
    chosen = ["--faults", *faults] if faults else []
    under = ["--conditions", *condition] if condition else []
    some = ["--sample", str(sample)] if sample else []
    flags = ["--resume"] * resume + ["--again"] * again + ["--page"] * page
    numbers = ["--runs", str(runs), "--jobs", str(jobs)]
    _run_beside("lab.matrix", [*numbers, *chosen, *under, *some, *flags])


def explorer(
    *,
    store: Store = DEFAULT_STORE,
    metrics: Metrics = "",
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on. Others than this machine have to sign in, see "
            "docs/explorer.md."
        ),
    ] = _HERE,
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of the page; busy: a free one.")
    ] = 8501,
    ledger: Annotated[
        Path | None,
        typer.Option(envvar="WHY504_ALERTS_LEDGER", help="File that alerts are kept in."),
    ] = None,
    url: Annotated[
        list[str] | None,
        typer.Option(
            help="Address of a probe's own port, for the timeouts; may be repeated. As a variable: "
            "WHY504_PROBE, with commas between."
        ),
    ] = None,
    nginx: Annotated[
        Path | None,
        typer.Option(envvar="WHY504_NGINX", help="nginx's configuration, for the timeouts."),
    ] = None,
    limits: Annotated[
        Path | None,
        typer.Option(
            envvar="WHY504_LIMITS",
            help="JSON file of further limits, or what `why504 doctor --json` printed.",
        ),
    ] = None,
) -> None:
    """Open the incident explorer on what was received."""
    with clear_errors():
        page = stack_folder() / "dashboards" / "explorer.py"
        _need_explorer()
        free = _free_port(host, port)
    shown = f"[{host}]" if ":" in host else host
    typer.echo(f"incident explorer: http://{shown}:{free}   (ctrl-C ends it)")
    command = [sys.executable, "-m", "streamlit", "run", str(page)]
    command += ["--server.address", host, "--server.port", str(free)]
    told = _sources(store, ledger, url or [], nginx, limits)
    _become(command, {**os.environ, **told, METRICS: metrics})


def _sources(
    store: Path,
    ledger: Path | None,
    urls: Sequence[str],
    nginx: Path | None,
    limits: Path | None,
) -> Mapping[str, str]:
    """Return what the explorer reads of its environment (dashboards/settings.py)."""
    files = {
        "WHY504_STORE": store,
        "WHY504_ALERTS_LEDGER": ledger,
        "WHY504_NGINX": nginx,
        "WHY504_LIMITS": limits,
    }
    told = {
        name: address_in(path) or str(path.resolve())
        for name, path in files.items()
        if path is not None
    }
    return {**told, "WHY504_PROBE": ",".join(urls)} if urls else told


def postmortem(
    incident: Annotated[
        str, typer.Argument(help="Its id, or how it begins; the latest where none is named.")
    ] = "",
    *,
    store: Store = DEFAULT_STORE,
    metrics: Metrics = "",
    html: Annotated[
        Path | None, typer.Option(help="Write a page with figures that needs nothing else.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Write text for a wiki or an issue.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write data for programs.")] = None,
    lang: Annotated[str, typer.Option(help="Language of the files: en or vi.")] = "en",
) -> None:
    """Write what is known of an incident into files; Markdown to standard output without any."""
    with clear_errors():
        _need_explorer()
        if lang not in _LANGUAGES:
            raise ConfigError(f"--lang {lang}: there are {' and '.join(_LANGUAGES)}")
    files = {"--html": html, "--markdown": markdown, "--json": json}
    named = [text for flag, file in files.items() if file for text in (flag, str(file))]
    arguments = ["--store", str(store), "--lang", lang, *named, "--", incident]
    os.environ[METRICS] = metrics
    _run_beside("dashboards.share", arguments)


def _need_explorer() -> None:
    missing = [name for name in _EXPLORER if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(f"{missing[0]} is not installed: pip install 'why504[explorer]'")


def _free_port(host: str, wanted: int) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in (wanted, 0):
        with (
            contextlib.suppress(OSError),
            socket.create_server((host, port), family=family) as listener,
        ):
            bound: int = listener.getsockname()[1]
            return bound
    raise ConfigError(f"no port of {host} is free, or it is no address of this machine")


def _run_beside(module: str, arguments: list[str]) -> NoReturn:
    """Run a program of the folders beside `src`."""
    with clear_errors():
        folder = stack_folder()
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    _become([sys.executable, "-m", module, *arguments], {**os.environ, "PYTHONPATH": path})


def _become(command: list[str], environment: dict[str, str]) -> NoReturn:
    """Go on as another program: who stops or kills this process stops that one."""
    os.execve(command[0], command, environment)  # noqa: S606 - a list, never a shell
