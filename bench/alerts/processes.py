"""The room and the bridges to it as processes: the router, and whatever it is compared with."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final, Self

import httpx

from bench.alerts.obligations import Told, tellings_of
from lab.deployment import PYTHON
from lab.stack.ports import free_port
from lab.stack.process import Process, Program, start, wait_until
from why504.errors import LabError

START_S: Final = 60.0
_POLL_S: Final = 0.01
_HOST: Final = "127.0.0.1"
_ALL: Final = 10_000_000


class Room:
    """Google Chat's stand-in."""

    def __init__(self, folder: Path, **behaviour: Any) -> None:
        port = free_port()
        self.url = f"http://{_HOST}:{port}"
        argv = [sys.executable, "-m", "lab.standins.googlechat", "--port", str(port)]
        self._process = start(Program(argv, "chat", folder, PYTHON))
        wait_until(lambda: responds(port), self._process, START_S)
        self.behave(**behaviour)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()

    @property
    def webhook(self) -> str:
        """Where messages are sent."""
        return f"{self.url}/v1/spaces/A/messages?key=k&token=t"

    def behave(self, **told: Any) -> None:
        """Change what it does with messages; see `ChatBehaviour`."""
        httpx.put(f"{self.url}/_control", json=told, trust_env=False).raise_for_status()

    def seen(self, after: int = 0) -> dict[str, Any]:
        """Return `messages`, statuses that were `refused`, and how many came `too_soon`."""
        answer = httpx.get(f"{self.url}/_seen?after={after}", timeout=60, trust_env=False)
        return dict(answer.raise_for_status().json())


class Bridge:
    """A program that takes alerts and tells them in a room; started and killed over and over."""

    def __init__(self, name: str, folder: Path, argv: Sequence[str], env: dict[str, str]) -> None:
        self.name = name
        self.folder = folder
        self.port = free_port()
        self._program = Program([*argv, "--port", str(self.port)], name, folder, {**PYTHON, **env})
        self._process: Process | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{_HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        return self._process.pid if self._process else 0

    def launch(self) -> None:
        """Start it, and wait for nothing."""
        self._process = start(self._program)

    def start(self) -> float:
        """Start it; return after how many seconds it answered.

        Raises:
            LabError: it did not.
        """
        begun_s = time.monotonic()
        self.launch()
        assert self._process is not None  # noqa: S101 - for mypy
        process = self._process
        while not responds(self.port):
            if not process.alive or time.monotonic() > begun_s + START_S:
                raise LabError(f"{self.name} did not start; see {self._program.log}")
            time.sleep(_POLL_S)
        return time.monotonic() - begun_s

    def kill(self) -> None:
        """`kill -9`."""
        if self._process is not None:
            self._process.kill()


class Router(Bridge):
    """`why504 alerts serve`, on one ledger."""

    def __init__(self, folder: Path, room: Room, *, short_hour: bool = False) -> None:
        self.ledger = folder / "alerts.sqlite"
        module = "bench.alerts.short_hour" if short_hour else "why504.cli"
        argv = [sys.executable, "-m", module, "alerts", "serve", "--ledger", str(self.ledger)]
        env = {
            "WHY504_ALERTS_WEBHOOK": room.webhook,
            "WHY504_ALERTS_LOCAL_CHAT": "1",
            "WHY504_ALERTS_LINK_HOSTS": "runbooks.example.com",
        }
        super().__init__("router", folder, argv, env)

    def undelivered(self) -> float:
        """Return how many changes are not in the room, as it says itself; inf if it does not."""
        try:
            said = httpx.get(f"{self.url}/metrics", timeout=30, trust_env=False).text
        except httpx.HTTPError:
            return float("inf")
        lines = [
            line for line in said.splitlines() if line.startswith("why504_alerts_undelivered{")
        ]
        return sum(float(line.split()[-1]) for line in lines) if lines else float("inf")

    def log(self) -> list[dict[str, Any]]:
        """Return what `why504 alerts log` tells of every message, the oldest first."""
        command = [sys.executable, "-m", "why504.cli", "alerts", "log", "--json"]
        command += ["--ledger", str(self.ledger), "--most", str(_ALL)]
        done = subprocess.run(command, capture_output=True, check=True)
        told: list[dict[str, Any]] = json.loads(done.stdout)
        return told[::-1]


def told_in(messages: Sequence[dict[str, Any]], log: Sequence[dict[str, Any]] = ()) -> list[Told]:
    """Return what messages tell: what is in them, and of a digest what the log lists."""
    listed = {one["request_id"]: one["alerts"] for one in log}
    return [
        Told(name, tellings_of(message) or _tellings(listed.get(name, [])))
        for message in messages
        # A bridge that sends no ids has as many messages as names.
        if (name := message["requestId"] or message["name"])
    ]


def dead_in(log: Sequence[dict[str, Any]]) -> list[Told]:
    """Return what will never be in the room, and has a reason."""
    dead = [one for one in log if one["state"] == "dead" and one["reason"]]
    return [Told(one["request_id"], _tellings(one["alerts"])) for one in dead]


def _tellings(alerts: Sequence[dict[str, str]]) -> list[tuple[str, str]]:
    return [(one["fingerprint"], one["status"]) for one in alerts]


def responds(port: int) -> bool:
    """Return whether somebody answers HTTP, whatever they say."""
    connection = HTTPConnection(_HOST, port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        connection.getresponse().read()
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
    return True


def memory_mb(pid: int) -> float:
    """Return the most memory that a process has had so far, MB."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    told = next(line for line in lines if line.startswith("VmHWM:"))
    return int(told.split()[1]) / 1024


def until(holds: Callable[[], bool], within_s: float, every_s: float = 0.5) -> bool:
    """Wait until something is so; return whether it came to be."""
    deadline_s = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(every_s)
    return True
