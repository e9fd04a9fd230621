"""What watches beside a command goes on whatever happens to it, and says when it does not work."""

from __future__ import annotations

import threading
import time

import pytest
from prometheus_client import CollectorRegistry

from why504.cli import beside
from why504.cli.beside import Beside, Sights, look
from why504.errors import ConfigError


@pytest.fixture
def stop():
    told = threading.Event()
    yield told
    told.set()


def test_a_watch_that_fails_is_said_to_and_is_begun_anew(stop, monkeypatch):
    monkeypatch.setattr(beside, "AGAIN_S", 0.05)
    worked = threading.Event()
    tries = []

    def run(until: threading.Event) -> None:
        tries.append(len(tries))
        if len(tries) < 3:
            raise PermissionError("access.jsonl")
        worked.set()
        until.wait()

    threads = Beside(stop)
    threads.begin("gateway's log", run)
    deadline_s = time.monotonic() + 5
    while not threads.failing():
        assert time.monotonic() < deadline_s
    assert threads.failing() == ["gateway's log: PermissionError: access.jsonl"]
    assert worked.wait(5)
    time.sleep(0.15)
    assert threads.failing() == []


def test_nothing_to_look_at_is_nothing():
    assert not Sights(None, 60.0, None, None)
    assert Sights(None, 60.0, "postgresql://db/app", None)


@pytest.mark.parametrize(
    ("endpoint", "postgres", "rabbitmq"),
    [
        ("collector:4318", None, None),
        ("http://collector:4318", "not = an = address", None),
        ("http://collector:4318", None, "amqp://broker"),
    ],
)
def test_an_address_that_is_none_begins_nothing(stop, tmp_path, endpoint, postgres, rabbitmq):
    sights = Sights(tmp_path / "log", 60.0, postgres, rabbitmq)
    before = threading.active_count()

    with pytest.raises(ConfigError, match="write "):
        look(sights, endpoint, tmp_path, CollectorRegistry(), stop)

    assert threading.active_count() == before
