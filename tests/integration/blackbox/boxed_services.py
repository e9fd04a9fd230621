"""Real services in processes of their own, whose collector is dead, and what their boxes tell."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from typer.testing import CliRunner

from why504.cli import app

NOBODY = "http://127.0.0.1:9"
"""A collector that is not there."""


@dataclass
class Service:
    """A uvicorn of its own, on a port of its own."""

    process: subprocess.Popen[bytes]
    port: int
    folder: Path

    @property
    def box(self) -> Path:
        return self.folder / "box"

    def get(self, path: str, timeout_s: float = 10.0) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=timeout_s)

    def ask_in_vain(self, path: str, timeout_s: float = 60.0) -> None:
        """Send a request that nobody waits for."""

        def ask() -> None:
            with suppress(httpx.HTTPError):
                self.get(path, timeout_s)

        threading.Thread(target=ask, daemon=True).start()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)


@contextmanager
def serving(
    folder: Path, code: str, env: Mapping[str, str] | None = None, *options: str
) -> Iterator[Service]:
    """Serve `app` of some code until the end of the block, its black box in `folder/box`."""
    (folder / "boxed.py").write_text(code)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ours = {
        "OTEL_SERVICE_NAME": "boxed",
        "OTEL_EXPORTER_OTLP_ENDPOINT": NOBODY,
        "WHY504_METRICS_PORT": "0",
        "WHY504_SNAPSHOT_AFTER_S": "0.3",
        "WHY504_BLACK_BOX": str(folder / "box"),
    }
    argv = [sys.executable, "-m", "uvicorn", "boxed:app", "--port", str(port), *options]
    told = {**os.environ, **ours, **(env or {})}
    with (folder / "log").open("wb") as log, subprocess.Popen(
        argv, cwd=folder, env=told, stdout=log, stderr=log, start_new_session=True
    ) as process:  # fmt: skip
        service = Service(process, port, folder)
        try:
            wait_until(lambda: _answers(service), "it serves", 80)
            yield service
        finally:
            # Its workers too: they outlive a supervisor that is killed.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _answers(service: Service) -> bool:
    with suppress(httpx.HTTPError):
        return service.get("/ok").status_code == 200
    return False


def wait_until(holds: Callable[[], Any], what: str, timeout_s: float = 60.0) -> Any:
    """Return the first true value of `holds`; what it fails at may be on its way."""
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        with suppress(AssertionError, OSError):
            if found := holds():
                return found
        time.sleep(0.1)
    raise AssertionError(f"not in {timeout_s} s: {what}")


def run(*arguments: object) -> str:
    """Run a command of why504 and return what it prints."""
    done = CliRunner().invoke(app, [str(one) for one in arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def explained(*arguments: object) -> list[dict[str, Any]]:
    """Return the incidents that `why504 explain --json` tells."""
    found: list[dict[str, Any]] = json.loads(run("explain", "--json", *arguments))
    return found
