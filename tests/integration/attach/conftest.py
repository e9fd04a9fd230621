"""Real processes that hang in real ways, and who looks at them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from hung_processes import PROGRAMS, Service, connected

from why504.errors import AttachForbidden, MissingExtra
from why504.watch.hung.look import look_at


@pytest.fixture(scope="session", autouse=True)
def _may_look():
    """Skip where this user may not look at a child of its own; CI as root has to."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        time.sleep(0.5)
        look_at(child.pid, samples=1, window_s=0.1)
    except (AttachForbidden, MissingExtra) as error:
        if os.geteuid() == 0 and os.environ.get("CI"):
            raise
        pytest.skip(f"py-spy can't look at processes here: {error}")
    finally:
        child.kill()
        child.wait()


def _end(leader: int) -> None:
    """End a program and what it started: workers that hang outlive their parent."""
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


@pytest.fixture
def ending():
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def start(ending) -> Callable[..., subprocess.Popen[str]]:
    """Start a program that says what it does on its output; it is killed with the test."""

    def start(*command: str, cwd: Path = PROGRAMS) -> subprocess.Popen[str]:
        program = subprocess.Popen(
            [sys.executable, *command],
            cwd=cwd,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        ending.callback(program.stdout.close)
        ending.callback(program.wait)
        ending.callback(_end, program.pid)
        return program

    return start


@pytest.fixture
def service(start, ending) -> Callable[..., Service]:
    def service(loop: str = "asyncio") -> Service:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        service = Service(start("app.py", str(port), loop), port, ending)
        with connected(port):
            pass
        return service

    return service


@pytest.fixture
def silent_peer(ending) -> int:
    """The port of somebody who takes every connection and never says a word."""
    server = ending.enter_context(socket.create_server(("127.0.0.1", 0)))
    return server.getsockname()[1]
