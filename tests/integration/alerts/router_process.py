"""The router and Google Chat's stand-in as processes, and what is in the room."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from lab.deployment import PYTHON
from lab.stack.ports import free_port
from lab.stack.process import Process, Program, start, wait_until
from lab.stack.ready import answers

SECRET = "s3cr3t-t0ken"
START_S = 30.0


@dataclass
class Chat:
    """The stand-in for Google Chat."""

    url: str

    @property
    def webhook(self) -> str:
        return f"{self.url}/v1/spaces/A/messages?key=k&token={SECRET}"

    def behave(self, **told: Any) -> None:
        httpx.put(f"{self.url}/_control", json=told).raise_for_status()

    def messages(self) -> list[dict[str, Any]]:
        return httpx.get(f"{self.url}/_seen").json()["messages"]


@contextmanager
def chat(folder: Path) -> Iterator[Chat]:
    port = free_port()
    argv = [sys.executable, "-m", "lab.standins.googlechat", "--port", str(port)]
    process = start(Program(argv, "chat", folder, PYTHON))
    try:
        room = Chat(f"http://127.0.0.1:{port}")
        wait_until(answers(f"{room.url}/_seen"), process, START_S)
        yield room
    finally:
        process.kill()


class Router:
    """A router that is killed and started again, on the same ledger and port."""

    def __init__(self, folder: Path, room: Chat, more: Mapping[str, str] | None = None) -> None:
        self.ledger = folder / "alerts.sqlite"
        self.log = folder / "router.log"
        self.url = ""
        self._folder, self._room = folder, room
        self._more = more or {}
        self._port = free_port()
        self.process: Process | None = None

    def start(self) -> None:
        argv = [sys.executable, "-m", "why504.cli", "alerts", "serve"]
        argv += ["--ledger", str(self.ledger), "--port", str(self._port)]
        settings = {
            "WHY504_ALERTS_WEBHOOK": self._room.webhook, "WHY504_ALERTS_LOCAL_CHAT": "1",
        }  # fmt: skip
        program = Program(argv, "router", self._folder, {**PYTHON, **settings, **self._more})
        self.log = program.log
        self.url = f"http://127.0.0.1:{self._port}"
        self.process = start(program)
        wait_until(answers(f"{self.url}/metrics"), self.process, START_S)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()

    def post(self, *alerts: dict[str, Any]) -> bool:
        """Return whether the alerts were taken."""
        try:
            answer = httpx.post(f"{self.url}/alertmanager", json={"alerts": alerts}, timeout=5)
        except httpx.HTTPError:
            return False
        return answer.status_code == 200


def told(service: str, status: str, *, severity: str = "p0", end: str = "") -> dict[str, Any]:
    """An alert as Alertmanager tells it."""
    return {
        "status": status,
        "labels": {"alertname": "Gateway504Ratio", "severity": severity, "service_name": service},
        "annotations": {"summary": f"requests of {service} time out"},
        "startsAt": "2026-11-28T08:00:00.5Z",
        "endsAt": end or "0001-01-01T00:00:00Z",
        "fingerprint": f"f-{service}",
    }


def until(holds: Callable[[], bool], seconds: float) -> None:
    """Wait until something is so."""
    deadline_s = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline_s, "it never came true"
        time.sleep(0.05)
