"""A service that hangs on locks of its own, explained from its telemetry by the command line."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from lab.stack.ports import free_port
from why504.stores.parquet import ParquetStore

ROOT = Path(__file__).parents[3]
SERVICE = ROOT / "tests" / "services" / "named_locks.py"
HANGS_S = 1.5
"""Requests that are open for longer are asked for."""


def line_of(code: str, function: str) -> int:
    """The line of a function of the service that has this code."""
    lines = SERVICE.read_text().splitlines()
    first = next(n for n, line in enumerate(lines) if f"def {function}(" in line)
    return next(n for n, line in enumerate(lines, 1) if n > first and code in line)


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


def eventually(fact: Callable[[], object], within_s: float = 40) -> None:
    deadline = time.monotonic() + within_s
    while not fact():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.2)


class Stack:
    """A receiver with its store, for services one after another."""

    def __init__(self, folder: Path, endpoint: str, slow_url: str) -> None:
        self.folder = folder
        self.env = {
            **os.environ,
            "PYTHONPATH": f"{ROOT / 'src'}:{SERVICE.parent}",
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_SERVICE_NAME": "named-locks",
            "WHY504_METRICS_PORT": "-1",
            "WHY504_SNAPSHOT_AFTER_S": "0.3",
            "WHY504_STORE": str(folder),
            "SLOW_URL": slow_url,
        }

    def hang(self, paths: list[str], waits: int) -> dict[str, Any]:
        """Ask for these paths at once, let so many wait, and return what explains it."""
        port, since_s = free_port(), time.time()
        url = f"http://127.0.0.1:{port}"
        serve = ["-m", "uvicorn", "named_locks:app", "--port", str(port)]
        with (
            ThreadPoolExecutor(len(paths)) as clients,  # let go by the service's end
            running(serve, self.env, f"{url}/ready"),
        ):
            asked = [clients.submit(ask, url + path) for path in paths]
            eventually(lambda: self._waiting(since_s) >= waits)
            explain = ["-m", "why504.cli", "explain", "--json", "--slower-than", f"{HANGS_S}s"]
            since = datetime.fromtimestamp(since_s, UTC).isoformat()
            ran = subprocess.run(
                [sys.executable, *explain, "--from", since],
                env=self.env, cwd=ROOT, capture_output=True, check=True,
            )  # fmt: skip
            assert not any(one.done() for one in asked)
        (incident,) = json.loads(ran.stdout)
        assert incident["blame_in_s"] == pytest.approx(incident["blame_out_s"], abs=1e-6)
        return incident["finding"]

    def _waiting(self, since_s: float) -> int:
        """How many have been told to wait for what the user named, for long enough."""
        store = ParquetStore(self.folder)
        extent = store.extent()
        waits = store.evidence(extent).waits if extent else []
        named = [wait for wait in waits if wait.resource.startswith(("lock:", "limiter:"))]
        mine = [wait for wait in named if wait.start_ns / 1e9 > since_s]
        return sum((w.last_seen_ns - w.start_ns) / 1e9 > HANGS_S for w in mine)


@pytest.fixture(scope="module")
def stack(tmp_path_factory) -> Iterator[Stack]:
    folder, port = tmp_path_factory.mktemp("store"), free_port()
    endpoint = f"http://127.0.0.1:{port}"
    # A server that takes connections, reads nothing and says nothing.
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        stack = Stack(folder, endpoint, f"http://127.0.0.1:{silent.getsockname()[1]}/")
        receive = ["-m", "why504.cli", "receive", "--port", str(port)]
        with running(receive, stack.env, f"{endpoint}/healthz"):
            yield stack


def ask(url: str) -> None:
    with suppress(httpx.TransportError):
        httpx.get(url, timeout=60)


def at(code: str, function: str) -> str:
    return f"tests/services/named_locks.py:{line_of(code, function)}"


@pytest.mark.slow
def test_a_lock_held_over_a_slow_call_is_that_call(stack):
    finding = stack.hang(["/model"] * 5, waits=4)

    assert (finding["cause"], finding["mechanism"]) == ("D1", "lock")
    assert finding["site"] == at("client.get", "ask_the_model")
    link = next(link for link in finding["chain"] if link["what"] == "waiting for the lock model")
    assert "held by 1 x GET /model" in link["evidence"][0]
    assert f"taken at {at('with model', 'ask_the_model')}" in link["evidence"][0]


@pytest.mark.slow
def test_the_places_of_a_semaphore_are_counted(stack):
    finding = stack.hang(["/gpu"] * 6, waits=4)

    assert (finding["cause"], finding["mechanism"]) == ("D1", "limiter")
    assert finding["site"] == at("client.get", "use_the_gpu")
    assert "a place of the limiter gpu (2 of 2 in use, 3 waiting)" in str(finding["chain"])
    assert "held by 2 x GET /gpu" in str(finding["chain"])


@pytest.mark.slow
def test_a_deadlock_of_two_locks_is_told_with_all_four_lines(stack):
    finding = stack.hang(["/order", "/restock", "/order", "/restock"], waits=4)

    assert (finding["cause"], finding["mechanism"]) == ("UNKNOWN", "lock")
    assert finding["title"].startswith("A deadlock")
    for has, wants, function in (("orders", "stock", "order"), ("stock", "orders", "restock")):
        taken, wanted = at(f"with {has}", function), at(f"with {wants}", function)
        assert (
            f"who has lock:{has} (taken at {taken}) waits for lock:{wants} (at {wanted})"
            in finding["sentence"]
        )
