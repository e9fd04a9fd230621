"""Everything that one run stands on, started side by side: two cores have much to import."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from lab import peers
from lab.faults import GATEWAY_TIMEOUT_S, ROOT, Fault
from lab.matrix.stored import OURS, STOCK
from lab.outside import World
from lab.restartable import Restartable
from lab.stack.nginx import Nginx
from lab.stack.ports import free_port
from lab.stack.postgres import Postgres
from lab.stack.process import Process, Program, start, wait_until
from lab.stack.ready import answers
from lab.stack.slow_link import SlowLink
from why504.errors import LabError

TEMPLATE_DATABASE: Final = "lab"
START_TIMEOUT_S: Final = 60.0

PYTHON: Final = {
    "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}",
    # Compiled once: without it each run would spend ten seconds of CPU on compiling libraries.
    "PYTHONDONTWRITEBYTECODE": "",
    # A crash of the interpreter leaves the stacks of all threads in the program's log.
    "PYTHONFAULTHANDLER": "1",
}
"""Environment in which `python -m` finds the modules of this checkout, wherever it runs."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """The running parts that the course of a run needs."""

    folder: Path
    world: World
    service: Restartable
    receiver: Restartable
    stock: Process
    """The receiver of what stock OpenTelemetry sends."""
    gateway: Nginx
    metrics_address: str
    """`host:port` where the probe in the service tells its metrics."""
    receiver_address: str
    """The same of our receiver, which tells those of the gateway."""


def deploy(row: Fault, folder: Path, stack: ExitStack, template: Path | None = None) -> Deployment:
    """Start the service with all that it needs; `stack` ends it.

    With `template`, of lab/matrix/template.py, the database is a copy; else made and filled.

    Raises:
        LabError: a part did not start; the message ends with the tail of its log.
    """
    beside = peers.begin(row, folder, stack)
    database = stack.enter_context(Postgres.start(folder / "postgres", template=template))
    url = database.url_of(TEMPLATE_DATABASE) if template else database.new_database()
    history = None if template else stack.enter_context(_python(folder, "lab.history", url))
    gateway_log = folder / "nginx" / "access.jsonl"
    watched = ["--gateway-log", str(gateway_log), "--gateway-timeout-s", f"{GATEWAY_TIMEOUT_S:g}"]
    watched += ["--postgres", url, *beside.watched()]
    started, ours_url = receiver(folder, OURS, watched)
    ours = Restartable(started)
    stack.callback(ours.stop)
    stock, stock_url = receiver(folder, STOCK, [])
    stack.enter_context(stock)
    metrics_port = free_port()
    environment = {
        "SERVICE_DATABASE_URL": _at_a_distance(row.database_delay_s, database, url, stack),
        **beside.environment(),
        **row.settings,
        "LAB_VARIANT": row.variant,
        "LAB_STOCK_ENDPOINT": stock_url,
        "OTEL_SERVICE_NAME": "context-handling",
        # Both set-ups read it: so that neither chooses the names of the other's attributes.
        "OTEL_SEMCONV_STABILITY_OPT_IN": "http,database",
        "WHY504_ENDPOINT": ours_url,
        "WHY504_METRICS_PORT": str(metrics_port),
    }
    port = free_port()
    service = Restartable(_service(row, folder, port, environment))
    # It hangs, so that asking it to end would only take time.
    stack.callback(service.kill)
    gateway = Nginx.start(folder / "nginx", upstream_ports=[port], timeout_s=GATEWAY_TIMEOUT_S)
    stack.enter_context(gateway)
    if history and history.wait(START_TIMEOUT_S) != 0:
        raise LabError(f"the history could not be written: see {history.program.log}")
    wait_until(answers(f"{ours_url}/healthz"), ours.process, START_TIMEOUT_S)
    wait_until(answers(f"{stock_url}/healthz"), stock, START_TIMEOUT_S)
    alive = answers(f"http://127.0.0.1:{port}/v1/livez")
    wait_until(alive, service.process, START_TIMEOUT_S)
    beside.wait_until_ready()
    world = World(url, beside, service.process.pid)
    return Deployment(
        folder, world, service, ours, stock, gateway,
        metrics_address=f"127.0.0.1:{metrics_port}",
        receiver_address=urlsplit(ours_url).netloc,
    )  # fmt: skip


def _python(folder: Path, module: str, *arguments: str) -> Process:
    return start(Program([sys.executable, "-m", module, *arguments], module, folder, PYTHON))


def receiver(folder: Path, name: str, more: Sequence[str]) -> tuple[Process, str]:
    """Return a receiver of our own that begins to start, and its URL; it stores below `folder`."""
    port = free_port()
    argv = [sys.executable, "-m", "why504.cli", "receive"]
    argv += ["--store", str(folder / name), "--port", str(port), *more]
    program = Program(argv, f"receive-{name}", folder, PYTHON)
    return start(program), f"http://127.0.0.1:{port}"


def uvicorn(factory: str, port: int) -> list[str]:
    """Return the command that serves a factory of applications behind the lab's gateway."""
    options = ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    # nginx keeps an idle connection for 60 s. If uvicorn closed it sooner, as it does by default,
    # a request that is just sent on it would become a 502.
    options += ["--timeout-keep-alive", "75"]
    return [sys.executable, "-m", "uvicorn", "--factory", factory, *options]


def _service(row: Fault, folder: Path, port: int, environment: Mapping[str, str]) -> Process:
    argv = [*uvicorn(row.factory, port), *row.server_options]
    return start(Program(argv, "service", folder, {**PYTHON, **environment}))


def _at_a_distance(delay_s: float, database: Postgres, url: str, stack: ExitStack) -> str:
    """Return the database's URL as the service has it, through a slow link if there is one."""
    if not delay_s:
        return url
    link = stack.enter_context(SlowLink(database.port, delay_s=delay_s))
    return url.replace(f":{database.port}/", f":{link.port}/")
