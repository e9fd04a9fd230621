"""The command line, and the only place where the parts of why504 meet."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn
from urllib.parse import urlsplit

import typer
from rich.console import Console

from why504 import __version__, report
from why504.diagnose import explain as diagnose
from why504.errors import ConfigError, Why504Error
from why504.model import Incident, Span, Window
from why504.stack import folder as stack_folder
from why504.stores.base import EvidenceStore

app = typer.Typer(
    name="why504",
    help="Tells why a Python service answered 504.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Store = Annotated[
    Path,
    typer.Option("--store", envvar="WHY504_STORE", help="Folder that `why504 receive` writes to."),
]
DEFAULT_STORE = Path(".why504")


@contextlib.contextmanager
def _clear_errors() -> Iterator[None]:
    """Print what went wrong and what to do, without a traceback, and exit 2."""
    try:
        yield
    except Why504Error as error:
        Console(stderr=True).print(f"why504: {error}", style="red", markup=False)
        raise typer.Exit(2) from error


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


@app.command()
def demo(
    fault: Annotated[str, typer.Argument(help="Which fault to inject; see --list.")] = "F1",
    *,
    list_faults: Annotated[bool, typer.Option("--list", help="List the faults and end.")] = False,
    as_json: Json = False,
) -> None:
    """Hang a real service the way production hung, and explain it."""
    flags = ["--list"] * list_faults + ["--json"] * as_json
    _run_beside("lab.demo", [fault, *flags])


@app.command()
def matrix(
    faults: Annotated[list[str] | None, typer.Argument(help="Only these faults.")] = None,
    *,
    runs: Annotated[int, typer.Option(min=1, help="Runs of each fault.")] = 3,
    resume: Annotated[bool, typer.Option(help="Keep the runs that are already recorded.")] = False,
) -> None:
    """Inject every fault and score the causes named, with stock OpenTelemetry beside."""
    chosen = ["--faults", *faults] if faults else []
    arguments = ["--runs", str(runs), *chosen, *(["--resume"] * resume)]
    _run_beside("lab.matrix", arguments)


@app.command()
def receive(
    *,
    store: Store = DEFAULT_STORE,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 4318,
    keep_h: Annotated[float, typer.Option(min=0.1, help="Hours for which spans are kept.")] = 168,
    gateway_log: Annotated[
        Path | None, typer.Option(help="nginx's JSON access log, followed into gateway spans.")
    ] = None,
    gateway_timeout_s: Annotated[
        float, typer.Option(min=0.001, help="The gateway's proxy_read_timeout, in seconds.")
    ] = 60,
    postgres: Annotated[
        str | None,
        typer.Option(envvar="WHY504_POSTGRES", help="PostgreSQL URL whose locks are watched."),
    ] = None,
) -> None:
    """Receive OTLP into a folder, beside the gateway's log and PostgreSQL's locks."""
    from why504.receive.server import serve

    stop = threading.Event()

    def ready(bound_port: int) -> None:
        endpoint = f"http://{host}:{bound_port}"
        typer.echo(f"receiving OTLP on {endpoint}/v1/traces into {store.resolve()}")
        if gateway_log is not None:
            _follow_gateway(gateway_log, endpoint, store, gateway_timeout_s, stop)
        if postgres is not None:
            _watch_postgres(postgres, endpoint, stop)

    with _clear_errors():
        try:
            serve(store, host=host, port=port, max_age_s=keep_h * 3600, ready=ready)
        finally:
            stop.set()


@app.command()
def explain(
    *,
    store: Store = DEFAULT_STORE,
    last: Annotated[str, typer.Option(help="How far back: 90s, 15m, 2h, 1d.")] = "1h",
    start: Annotated[str | None, typer.Option("--from", help="ISO time, UTC by default.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="ISO time, UTC by default.")] = None,
    trace: Annotated[str | None, typer.Option(help="Only what happened to this trace.")] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Also draw the report into this SVG file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say why requests timed out."""
    with _clear_errors():
        evidence_store = _open(store)
        window = _around(evidence_store, trace) if trace else _window(last, start, end)
        evidence = evidence_store.evidence(window)
        incidents = diagnose(evidence)
    if trace:
        mine = ((i, [v for v in i.victims if v.trace_id == trace]) for i in incidents)
        incidents = [replace(incident, victims=victims) for incident, victims in mine if victims]
    if as_json:
        typer.echo(json.dumps([report.as_json(incident) for incident in incidents], indent=2))
        return
    _print_incidents(incidents, evidence.spans)
    if picture and incidents:
        with _clear_errors():
            _draw(incidents[-1], picture)


@app.command()
def ps(
    *,
    url: Annotated[
        str, typer.Option(envvar="WHY504_PROBE", help="Address of the probe's own port.")
    ] = "http://127.0.0.1:9464",
    as_json: Json = False,
) -> None:
    """Show what is stuck in a service now, also while its event loop is blocked."""
    import httpx

    with _clear_errors():
        try:
            answer = httpx.get(f"{url}/debug/requests", timeout=5)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise ConfigError(
                f"no probe answers at {url} ({type(error).__name__}); it takes the first free port "
                "from 9464 on, or WHY504_METRICS_PORT: why504 ps --url http://127.0.0.1:PORT"
            ) from error
    if as_json:
        typer.echo(answer.text)
    else:
        Console().print(report.render_stuck(answer.json()))


@app.command()
def explorer(
    *,
    store: Store = DEFAULT_STORE,
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of the page; busy: a free one.")
    ] = 8501,
) -> None:
    """Open the incident explorer on what was received."""
    with _clear_errors():
        page = stack_folder() / "dashboards" / "explorer.py"
    free = _free_port(port)
    typer.echo(f"incident explorer: http://127.0.0.1:{free}   (ctrl-C ends it)")
    command = [sys.executable, "-m", "streamlit", "run", str(page), "--server.port", str(free)]
    environment = {**os.environ, "WHY504_STORE": str(store.resolve())}
    _become(command, environment)


def _draw(incident: Incident, picture: Path) -> None:
    try:
        picture.write_text(report.as_svg(incident), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"can't write {picture}: {error.strerror}") from error


def _free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)) as listener:
            bound: int = listener.getsockname()[1]
            return bound
    raise ConfigError("no port of 127.0.0.1 is free")


def _run_beside(module: str, arguments: list[str]) -> NoReturn:
    """Run a program of the folders beside `src`."""
    with _clear_errors():
        folder = stack_folder()
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    _become([sys.executable, "-m", module, *arguments], {**os.environ, "PYTHONPATH": path})


def _become(command: list[str], environment: dict[str, str]) -> NoReturn:
    """Go on as another program: who stops or kills this process stops that one."""
    os.execve(command[0], command, environment)  # noqa: S606 - a list, never a shell


def _open(store: Path) -> EvidenceStore:
    from why504.stores.parquet import ParquetStore

    if not store.is_dir():
        raise ConfigError(
            f"{store} is no folder; start `why504 receive --store {store}`, "
            "or try `why504 demo` first"
        )
    return ParquetStore(store)


def _window(last: str, start: str | None, end: str | None) -> Window:
    end_ns = _instant(end) if end else time.time_ns()
    return Window(_instant(start) if start else end_ns - _length_ns(last), end_ns)


def _around(store: EvidenceStore, trace: str) -> Window:
    """Return the life of a trace, and a minute on each side for those who held it up."""
    if not re.fullmatch("[0-9a-f]{32}", trace):
        raise ConfigError(f"{trace!r} is no trace id: 32 hexadecimal digits are")
    evidence = store.trace(trace)
    if not evidence.spans:
        raise ConfigError(f"trace {trace} is not in the store")
    minute_ns = 60 * 10**9
    return Window(evidence.window.start_ns - minute_ns, evidence.window.end_ns + minute_ns)


def _instant(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{text!r} is no ISO time, such as 2026-11-23T23:04:10") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1e9)


def _length_ns(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if match is None:
        raise ConfigError(f"{text!r} is no length of time, such as 90s, 15m, 2h or 1d")
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]
    return int(float(match[1]) * seconds * 1e9)


def _print_incidents(incidents: Sequence[Incident], spans: Sequence[Span]) -> None:
    console = Console()
    if not incidents:
        requests = sum(span.kind == "server" and span.parent_id is None for span in spans)
        console.print(report.render_nothing(requests))
    for incident in incidents:
        console.print(report.render(incident))


def _follow_gateway(
    log: Path, endpoint: str, store: Path, timeout_s: float, stop: threading.Event
) -> None:
    from why504.watch.gateway import GatewayWatch

    watch = GatewayWatch(log, endpoint, store / "gateway.position", timeout_s)
    threading.Thread(target=watch.run, args=(stop,), name="gateway-log", daemon=True).start()


def _watch_postgres(url: str, endpoint: str, stop: threading.Event) -> None:
    from opentelemetry.sdk.resources import Resource

    from why504.probe.records import RecordSender
    from why504.watch.postgres import PostgresWatch

    # An instance of its own: what is open is open until its instance was last heard of.
    place = urlsplit(url)
    resource = Resource.create(
        {
            "service.name": "postgresql",
            "service.instance.id": f"postgresql@{place.hostname}:{place.port or 5432}",
        }
    )
    watch = PostgresWatch(url, RecordSender(endpoint, resource))
    threading.Thread(target=watch.run, args=(stop,), name="postgres", daemon=True).start()


if __name__ == "__main__":
    app()
