"""The router as a process, and tickets: killed at any moment it opens one an incident."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from router_process import START_S, Chat, Router, told, until

from lab.deployment import PYTHON
from lab.stack.ports import free_port
from lab.stack.process import Program, start, wait_until
from lab.stack.ready import answers

TOKEN = "s3cr3t-of-a-tracker"
KILLS = 4
SERVICES = ("shop", "cart", "mail")


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[str]:
    """Where the stand-in for trackers is."""
    port = free_port()
    argv = [sys.executable, "-m", "lab.standins.tickets", "--port", str(port)]
    process = start(Program(argv, "tracker", tmp_path, PYTHON))
    try:
        wait_until(answers(f"http://127.0.0.1:{port}/_seen"), process, START_S)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()


def killed_now_and_then(router: Router) -> None:
    """Let a router take a P1 of each service, while it is killed again and again."""
    chance = random.Random(504)
    router.start()
    for service in SERVICES:
        assert router.post(told(service, "firing", severity="p1"))
    for _ in range(KILLS):
        # It looks for what is new after a second.
        time.sleep(chance.uniform(0.8, 3.0))
        router.kill()
        router.start()
        assert router.post(told("shop", "firing", severity="p1"))


def test_as_issues_of_github(tmp_path: Path, room: Chat, tracker: str):
    def seen() -> list[dict[str, Any]]:
        return httpx.get(f"http://{tracker}/_seen").json()["issues"]

    # So that it is killed while it waits for an answer, now and then.
    httpx.put(f"http://{tracker}/_control", json={"delay_s": 0.4}).raise_for_status()
    settings = {"TICKETS": f"github:{tracker}/acme/shop", "TICKETS_TOKEN": TOKEN}
    router = Router(tmp_path, room, **settings)
    try:
        killed_now_and_then(router)
        until(lambda: len(seen()) == len(SERVICES), 60)
        opened = 'why504_alerts_tickets_total{result="opened"}'
        assert opened in httpx.get(f"{router.url}/metrics").text
        time.sleep(3)
    finally:
        router.kill()

    titles = sorted(issue["title"] for issue in seen())
    assert titles == sorted(f"P1 · Gateway504Ratio · {service}" for service in SERVICES)
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 2
    assert not any(TOKEN.encode() in data for data in written)


def test_as_files(tmp_path: Path, room: Chat):
    folder = tmp_path / "tickets"
    router = Router(tmp_path, room, TICKETS=f"files:{folder}")
    try:
        killed_now_and_then(router)
        until(lambda: len(list(folder.glob("*.md"))) == len(SERVICES), 30)
        time.sleep(2)
    finally:
        router.kill()

    files = [path.read_text("utf-8") for path in folder.glob("*.md")]
    assert sorted(text.splitlines()[0] for text in files) == sorted(
        f"# P1 · Gateway504Ratio · {service}" for service in SERVICES
    )
    assert all(text.count("<!-- why504:") == 1 for text in files)
