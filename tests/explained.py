"""A service that hangs, explained by the command line from what it told a real receiver."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from lab.stack.ports import free_port
from why504.cli import app as command_line
from why504.stores.parquet import ParquetStore

ROOT = Path(__file__).parents[1]
HANGS_S = 1.5
"""Requests that are open for longer are asked for."""


@contextmanager
def running(command: list[str], env: dict[str, str], answers: str) -> Iterator[None]:
    with subprocess.Popen([sys.executable, *command], env=env, cwd=ROOT) as process:
        try:
            eventually(lambda: ok(answers))
            yield
        finally:
            process.send_signal(signal.SIGKILL)  # its threads wait for each other for good


def ok(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def eventually(fact: Callable[[], object], within_s: float = 90) -> None:
    deadline = time.monotonic() + within_s
    while not fact():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.3)


def ask(url: str) -> None:
    with suppress(httpx.TransportError):
        httpx.get(url, timeout=60)


@dataclass(frozen=True)
class Service:
    """A service below tests/services: its lines."""

    name: str

    @property
    def path(self) -> str:
        return f"tests/services/{self.name}.py"

    def at(self, code: str, function: str) -> str:
        """Return the line of a function that has this code, as findings spell it."""
        lines = (ROOT / self.path).read_text().splitlines()
        first = next(n for n, line in enumerate(lines) if f"def {function}(" in line)
        line = next(n for n, text in enumerate(lines, 1) if n > first and code in text)
        return f"{self.path}:{line}"


class Stack:
    """A receiver with its store, for runs of a service one after another."""

    def __init__(self, folder: Path, endpoint: str, service: Service, silent_port: int) -> None:
        self.folder = folder
        self.service = service
        self.env = {
            **os.environ,
            "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests' / 'services'}",
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_SERVICE_NAME": service.name.replace("_", "-"),
            "WHY504_METRICS_PORT": "-1",
            "WHY504_SNAPSHOT_AFTER_S": "0.3",
            "WHY504_STORE": str(folder),
            "SLOW_URL": f"http://127.0.0.1:{silent_port}/",
        }

    def hang(self, paths: list[str], waits: int, waited_for: str | tuple[str, ...]) -> Any:
        """Ask for these paths at once, let so many wait, and return what explains it."""
        port, since_s = free_port(), time.time()
        url = f"http://127.0.0.1:{port}"
        serve = ["-m", "uvicorn", f"{self.service.name}:app", "--port", str(port)]
        with (
            ThreadPoolExecutor(len(paths)) as clients,  # let go by the service's end
            running(serve, self.env, f"{url}/ready"),
        ):
            for path in paths:
                clients.submit(ask, url + path)
            eventually(lambda: self._waiting(since_s, waited_for) >= waits)
            since = datetime.fromtimestamp(since_s, UTC).isoformat()
            options = ["--json", "--slower-than", f"{HANGS_S}s", "--from", since]
            ran = CliRunner().invoke(command_line, ["explain", *options], env=self.env)
        assert ran.exit_code == 0, ran.output
        (incident,) = json.loads(ran.stdout)
        assert incident["blame_in_s"] == pytest.approx(incident["blame_out_s"], abs=1e-6)
        return incident["finding"]

    def _waiting(self, since_s: float, waited_for: str | tuple[str, ...]) -> int:
        """How many have been told to wait for such a resource, or to be at it, for long enough."""
        store = ParquetStore(self.folder)
        extent = store.extent()
        if not extent:
            return 0
        evidence = store.evidence(extent)
        open_spans = [span for span in evidence.spans if span.end_ns is None]
        things = [w for w in evidence.waits if w.resource.startswith(waited_for)]
        mine = [one for one in [*things, *(s for s in open_spans if s.name.startswith(waited_for))]
                if one.start_ns / 1e9 > since_s]  # fmt: skip
        return sum((one.last_seen_ns - one.start_ns) / 1e9 > HANGS_S for one in mine)


@contextmanager
def receiving(folder: Path, service: Service, env: Mapping[str, str]) -> Iterator[Stack]:
    """Run a receiver, and a server that takes connections, reads nothing and says nothing."""
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        stack = Stack(folder, endpoint, service, silent.getsockname()[1])
        stack.env.update(env)
        receive = ["-m", "why504.cli", "receive", "--port", str(port)]
        with running(receive, stack.env, f"{endpoint}/healthz"):
            yield stack
