"""Processes, tables and queues, as the tests of messaging look at them from beside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pika
import psycopg
import pytest
from pika.exceptions import ChannelClosedByBroker

from service.application.settings import Settings

FAST = {"broker_s": 1.0, "statement_s": 1.0, "checkout_s": 1.0}


class Outbox:
    """The table, looked at from beside."""

    def __init__(self, url: str) -> None:
        self.url = url

    def run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows."""
        with psycopg.connect(self.url) as connection:
            cursor = connection.execute(statement, values)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def add(self, count: int = 1, *, payload: Any = None, traceparent: str | None = None) -> None:
        """Store messages as requests do; each without a payload is `{"n": number}`."""
        numbered = "jsonb_build_object('n', n)" if payload is None else "%s::jsonb"
        values = () if payload is None else (json.dumps(payload),)
        self.run(
            f"INSERT INTO outbox (topic, payload, traceparent) "
            f"SELECT 'conversation.ended', {numbered}, %s FROM generate_series(1, %s) AS n",
            *values,
            traceparent,
            count,
        )

    def unsent(self) -> int:
        """Return how many rows wait."""
        return self.run("SELECT count(*) FROM outbox WHERE sent_at IS NULL")[0][0]

    def ids(self) -> set[str]:
        """Return the message ids of all rows."""
        return {row[0] for row in self.run("SELECT message_id::text FROM outbox")}


def environment(settings: Settings) -> dict[str, str]:
    """Return the settings as the environment of a process."""
    env = {"PYTHONPATH": os.pathsep.join(["src", ".", "tests/integration/messaging"])}
    for name in settings.model_fields_set - {"timeouts", "broker_url"}:
        env[f"SERVICE_{name.upper()}"] = str(getattr(settings, name))
    env["SERVICE_TIMEOUTS"] = json.dumps(FAST)
    if settings.broker_url is not None:
        env["SERVICE_BROKER_URL"] = settings.broker_url.get_secret_value()
    return {**os.environ, **env}


@contextmanager
def program(module: str, settings: Settings, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `python -m module`; killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error::ResourceWarning", "-m", module],
        env={**environment(settings), **env},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def until(true: Callable[[], Any], what: str, timeout_s: float = 20.0) -> None:
    """Wait until it is true, or fail."""
    deadline = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {timeout_s:g} s: {what}")
        time.sleep(0.05)


class Queue:
    """A queue of the broker, read from beside."""

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.name = name

    def take_all(self) -> list[tuple[pika.BasicProperties, bytes]]:
        """Take every message that waits; none if there is no such queue."""
        taken = []
        with pika.BlockingConnection(pika.URLParameters(self.url)) as connection:
            channel = connection.channel()
            try:
                while True:
                    frame, properties, body = channel.basic_get(self.name, auto_ack=True)
                    if frame is None:
                        return taken
                    taken.append((properties, body))
            except ChannelClosedByBroker:
                return []

    def put(self, body: bytes, **properties: Any) -> None:
        """Send something of one's own."""
        with pika.BlockingConnection(pika.URLParameters(self.url)) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            channel.basic_publish("", self.name, body, pika.BasicProperties(**properties))
