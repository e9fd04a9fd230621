"""From a real Alertmanager with our configuration, by the router, into the room."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from router_process import Chat, Router, until

from lab.stack.alertmanager import CONFIG, Alertmanager


@pytest.fixture
def alertmanager(
    tmp_path: Path, router: Router, alertmanager_binary: Path
) -> Iterator[Alertmanager]:
    with Alertmanager.start(tmp_path / "alertmanager", router.url) as one:
        yield one


def firing(name: str, severity: str, **more: str) -> dict:
    labels = {"alertname": name, "severity": severity, "service_name": "shop", **more}
    return {"labels": labels, "annotations": {"summary": f"{name} is not well"}}


def texts(room: Chat) -> list[str]:
    return [message["text"] for message in room.messages()]


def test_a_p0_comes_through_at_once_and_says_what_it_says(alertmanager, room):
    alertmanager.raise_([firing("Gateway504Ratio", "p0")])

    until(lambda: texts(room) == ["<users/all> P0 · Gateway504Ratio shop"], 10)
    assert "Gateway504Ratio is not well" in json.dumps(room.messages())


def test_who_is_woken_for_a_service_does_not_hear_what_else_it_does(alertmanager, room):
    alertmanager.raise_([firing("Gateway504Ratio", "p0")])
    until(lambda: len(texts(room)) == 1, 10)
    alertmanager.raise_([firing("LLMFallbackUsed", "p2"), firing("LLMFallbackUsed", "p2", x="y")])
    time.sleep(3)

    assert "LLMFallbackUsed" not in json.dumps(room.messages())


def test_what_fires_while_the_router_is_down_comes_when_it_is_back(alertmanager, router, room):
    router.kill()
    alertmanager.raise_([firing("Gateway504Ratio", "p0")])
    time.sleep(2)
    router.start()

    until(lambda: len(texts(room)) > 0, 30)
    assert texts(room) == ["<users/all> P0 · Gateway504Ratio shop"]


def test_the_heartbeat_arrives_and_is_not_told(alertmanager, router, room):
    alertmanager.raise_([firing("Watchdog", "none")])

    taken = 'why504_alerts_taken_total{level="heartbeat"} 1.0'
    until(lambda: taken in httpx.get(f"{router.url}/metrics").text, 10)
    assert texts(room) == []


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [(["severity=p0"], "why504"), (["severity=p1"], "why504"), (["severity=p2"], "why504"),
     (["severity=none", "alertname=Watchdog"], "why504-heartbeat"), ([], "why504")],
)  # fmt: skip
@pytest.mark.usefixtures("alertmanager_binary")
def test_every_alert_has_a_receiver(labels, receiver):
    amtool = shutil.which("amtool")
    assert amtool
    subprocess.run([amtool, "check-config", str(CONFIG)], check=True, capture_output=True)
    command = [amtool, "config", "routes", "test", f"--config.file={CONFIG}", *labels]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout

    assert said.split() == [receiver]
