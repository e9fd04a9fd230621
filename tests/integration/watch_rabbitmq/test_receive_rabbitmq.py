"""`why504 receive --rabbitmq` as a user starts it: from an alarm to evidence in the store."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from lab.stack.ports import free_port
from why504 import names
from why504.model import Evidence
from why504.stores.parquet import ParquetStore


def command(folder: Path, port: int, *more: str) -> list[str]:
    where = ["--store", str(folder), "--port", str(port)]
    return [sys.executable, "-m", "why504.cli", "receive", *where, *more]


@contextmanager
def receiving(folder: Path, rabbitmq: str) -> Iterator[str]:
    """A receiver, by its URL; yields once it answers."""
    port = free_port()
    env = {**os.environ, "PYTHONPATH": "src", "WHY504_RABBITMQ_PASSWORD": "guest"}
    with subprocess.Popen(command(folder, port, "--rabbitmq", rabbitmq), env=env) as process:
        try:
            eventually(lambda: answers(f"http://127.0.0.1:{port}/healthz"))
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(20)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def eventually(fact: Callable[[], object], within_s: float = 30) -> None:
    deadline = time.monotonic() + within_s
    while not fact():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.1)


def stored(folder: Path) -> Evidence | None:
    store = ParquetStore(folder)
    extent = store.extent()
    return store.evidence(extent) if extent else None


@pytest.mark.rabbitmq
@pytest.mark.slow
def test_an_alarm_is_in_the_store_with_its_end_and_the_password_is_not(managed_rabbitmq, tmp_path):
    url = f"http://guest@127.0.0.1:{managed_rabbitmq.management_port}"
    with receiving(tmp_path, url):
        eventually(lambda: watched(tmp_path))
        managed_rabbitmq.alarm(True)
        try:
            eventually(lambda: alarms(tmp_path))
        finally:
            managed_rabbitmq.alarm(False)
        eventually(lambda: any(hold.end_ns for hold in alarms(tmp_path)))

    [alarm] = alarms(tmp_path)
    assert alarm.resource == f"broker:lab{managed_rabbitmq.port}@localhost"
    assert alarm.attributes[names.BROKER_TROUBLE] == "memory"
    assert (alarm.service, alarm.instance) == (
        "rabbitmq",
        f"rabbitmq@127.0.0.1:{managed_rabbitmq.management_port}",
    )
    assert "guest" not in repr(stored(tmp_path))


def watched(folder: Path) -> bool:
    told = stored(folder)
    return told is not None and any(s.name == names.BROKER_WATCHED for s in told.spans)


def alarms(folder: Path) -> list:
    told = stored(folder)
    return [hold for hold in told.holds if hold.resource.startswith("broker:")] if told else []


@pytest.mark.rabbitmq
@pytest.mark.slow
def test_a_frozen_broker_does_not_slow_the_receiver(managed_rabbitmq, tmp_path):
    managed_rabbitmq.freeze()
    try:
        rabbitmq = f"http://guest@127.0.0.1:{managed_rabbitmq.management_port}"
        with receiving(tmp_path, rabbitmq) as url, httpx.Client(timeout=1) as client:
            until_s = time.monotonic() + 5  # longer than a sample and the pause after it
            while time.monotonic() < until_s:
                assert client.get(f"{url}/healthz").status_code == 200
                time.sleep(0.01)
            stopped_s = time.monotonic()
        assert time.monotonic() - stopped_s < 10
    finally:
        managed_rabbitmq.thaw()


def test_what_is_no_address_of_rabbitmq_is_said_without_its_password(tmp_path):
    done = subprocess.run(
        command(tmp_path, free_port(), "--rabbitmq", "amqp://ops:secret@mq:5672"),
        env={**os.environ, "PYTHONPATH": "src"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 2
    assert "http://user@host:15672" in done.stderr + done.stdout
    assert "secret" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
