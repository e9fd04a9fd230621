"""`why504 run`, and OpenTelemetry's launcher: the probe in each process of unchanged programs."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from why504 import names
from why504.probe import begin
from why504.probe.safety import RAISE

BIN = Path(sys.executable).parent
RUN = [str(BIN / "why504"), "run"]
APP = """
import asyncio, os
from fastapi import FastAPI
app = FastAPI()

@app.get("/items/{number}")
def item(number: int) -> int:
    return os.getpid()

@app.get("/slow")
async def slow() -> None:
    await asyncio.sleep(2)
"""
PLAIN = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"1"})
"""
WORKER = """
import sys, threading
import pika

def work():
    pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", int(sys.argv[1])))

thread = threading.Thread(target=work, daemon=True)
thread.start()
thread.join(60)
"""


def environment(collector, folder: Path, **more: str) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if name != RAISE},
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_SERVICE_NAME": "somebodys",
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder),
        "WHY504_METRICS_PORT": "0",
        "WHY504_SNAPSHOT_AFTER_S": "0.5",
        **more,
    }


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def started(command: list[str], env: dict[str, str], folder: Path) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(
        command, env=env, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def asked(port: int, times: int = 1) -> set[str]:
    """Ask until it answers, on connections of their own; return what it said."""
    end, said = time.monotonic() + 200, []
    while len(said) < times and time.monotonic() < end:
        try:
            said.append(httpx.get(f"http://127.0.0.1:{port}/items/7", timeout=10).text)
        except httpx.TransportError:
            time.sleep(0.2)
    assert len(said) == times, "nobody answers"
    return set(said)


SERVERS = {
    "uvicorn": ["uvicorn", "app:app", "--workers", "2", "--port", "{port}"],
    "gunicorn": [
        "gunicorn", "app:app", "-w", "2", "-k", "uvicorn.workers.UvicornWorker",
        "-b", "127.0.0.1:{port}",
    ],
    "hypercorn": ["hypercorn", "app:app", "-b", "127.0.0.1:{port}"],
    "python": ["python", "-m", "uvicorn", "app:app", "--port", "{port}", "--lifespan", "off"],
}  # fmt: skip


@pytest.mark.timeout(300)
@pytest.mark.parametrize("server", SERVERS)
def test_an_application_is_watched_under_any_server_without_a_change(server, tmp_path, collector):
    (tmp_path / "app.py").write_text(APP)
    port = free_port()
    command = [part.format(port=port) for part in SERVERS[server]]

    with started(RUN + command, environment(collector, tmp_path), tmp_path):
        workers = asked(port, times=6)
        collector.wait_for(lambda: len(collector.servers()) >= 6, timeout_s=30)

    told = collector.servers()
    assert {s.attributes[names.HTTP_ROUTE] for s in told} == {"/items/{number}"}
    assert {s.resource[names.SERVICE_NAME] for s in told} == {"somebodys"}
    assert {str(s.resource[names.PROCESS_PID]) for s in told} == workers
    assert len({s.resource[names.SERVICE_INSTANCE] for s in told}) == len(workers)


@pytest.mark.timeout(300)
def test_an_application_of_no_framework_is_watched(tmp_path, collector):
    (tmp_path / "app.py").write_text(PLAIN)
    port = free_port()

    with started(
        [*RUN, "uvicorn", "app:app", "--port", str(port)],
        environment(collector, tmp_path),
        tmp_path,
    ):
        asked(port)
        (span,) = collector.wait_for(collector.servers, timeout_s=30)

    assert (span.name, span.attributes[names.HTTP_STATUS]) == ("GET", 200)


@pytest.mark.timeout(300)
def test_a_worker_without_http_is_watched_from_its_first_call(tmp_path, collector):
    (tmp_path / "worker.py").write_text(WORKER)
    mute = socket.create_server(("127.0.0.1", 0))
    port = str(mute.getsockname()[1])

    with (
        mute,
        started([*RUN, "python", "-m", "worker", port], environment(collector, tmp_path), tmp_path),
    ):
        told = collector.wait_for(
            lambda: [s for s in collector.of_kind(names.SNAPSHOT) if "rabbitmq" in s.name],
            timeout_s=60,
        )

    assert told[0].attributes[names.CODE_FILE].endswith("worker.py")
    assert told[0].attributes[names.CODE_LINE] == 6


@pytest.mark.timeout(300)
def test_opentelemetrys_launcher_finds_the_probe_and_its_own_spans_stay(tmp_path, collector):
    (tmp_path / "app.py").write_text(APP)
    port = free_port()
    launcher = str(BIN / "opentelemetry-instrument")

    with started(
        [launcher, "uvicorn", "app:app", "--port", str(port)],
        environment(collector, tmp_path),
        tmp_path,
    ):
        asked(port)
        (span,) = collector.wait_for(collector.servers, timeout_s=30)
        # A snapshot is as much our own as vitals are, which come every thirty seconds.
        httpx.get(f"http://127.0.0.1:{port}/slow", timeout=30)
        ours = collector.wait_for(lambda: collector.of_kind(names.SNAPSHOT), timeout_s=40)

    assert span.attributes[names.HTTP_ROUTE] == "/items/{number}"
    assert {s.resource[names.SERVICE_NAME] for s in ours} == {"somebodys"}


def run(command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess:
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=90, check=False)


LOOKS = "import sys; print([type(f).__name__ for f in sys.meta_path].count('Imports'))"


def test_opentelemetrys_launcher_leaves_us_out_when_it_is_told_to(tmp_path, collector):
    launcher = str(BIN / "opentelemetry-instrument")
    env = environment(collector, tmp_path, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="why504")

    assert run([launcher, sys.executable, "-c", LOOKS], env).stdout.strip() == "0"


def test_the_command_takes_the_place_of_ours_with_its_exit_code(tmp_path, collector):
    env = environment(collector, tmp_path)

    process = subprocess.Popen(
        [*RUN, "python", "-c", "import os; print(os.getpid()); os._exit(7)"],
        env=env,
        stdout=subprocess.PIPE,
        text=True,
    )
    said, _ = process.communicate(timeout=60)

    assert (int(said), process.returncode) == (process.pid, 7)


def test_a_command_that_is_not_there_is_told(tmp_path, collector):
    done = run([*RUN, "no-such-command", "--port", "1"], environment(collector, tmp_path))

    assert done.returncode == 127
    assert done.stderr.strip() == "why504: no-such-command: command not found"


def test_another_sitecustomize_is_run_as_well(tmp_path, collector):
    (tmp_path / "sitecustomize.py").write_text("print('theirs')")

    done = run([*RUN, "python", "-c", LOOKS], environment(collector, tmp_path))

    # Ours is a Python program, too.
    assert done.stdout.split() == ["theirs", "theirs", "1"]


def test_nothing_is_imported_for_a_program_that_shows_nothing(tmp_path, collector):
    heavy = (
        "import sys; print([m for m in ('opentelemetry', 'fastapi', 'pika') if m in sys.modules])"
    )

    done = run([*RUN, "python", "-c", heavy], environment(collector, tmp_path))

    assert done.stdout.strip() == "[]"


def test_a_program_runs_where_we_cannot_be_imported(tmp_path, collector):
    (tmp_path / "why504.py").write_text("raise ImportError('broken')")
    folder = Path(begin.__file__).with_name("path")
    env = environment(collector, tmp_path, PYTHONPATH=f"{folder}{os.pathsep}{tmp_path}")
    child = f"import subprocess; subprocess.run([{sys.executable!r}, '-c', 'print(2)']); print(1)"

    done = run([sys.executable, "-c", child], env)

    assert done.stdout.split() == ["2", "1"]
    assert done.stderr.strip() == "why504: the program runs without us: ImportError: broken"


@pytest.mark.timeout(300)
def test_an_application_serves_though_a_setting_makes_no_sense(tmp_path, collector):
    (tmp_path / "app.py").write_text(APP)
    port = free_port()
    env = environment(collector, tmp_path, WHY504_STALL_AFTER_S="soon")

    with started([*RUN, "uvicorn", "app:app", "--port", str(port)], env, tmp_path) as process:
        asked(port)
        process.terminate()
        said, _ = process.communicate(timeout=30)

    assert said.count("why504:") == 1
    assert "WHY504_STALL_AFTER_S='soon' is not a number" in said
