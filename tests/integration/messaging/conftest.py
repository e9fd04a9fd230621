"""Relay and worker as processes, on a real RabbitMQ and a real PostgreSQL."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import httpx
import pytest
from messaging_rig import FAST, Outbox, Queue, program
from prometheus_client.parser import text_string_to_metric_families

from service.application.settings import Settings, Timeouts
from service.infrastructure.db.migrations import migrate

if TYPE_CHECKING:
    from lab.stack.postgres import Postgres
    from lab.stack.rabbitmq import RabbitMQ

_names = itertools.count(1)


@pytest.fixture
def outbox(postgres: Postgres) -> Outbox:
    url = postgres.new_database()
    migrate(url)
    return Outbox(url)


@pytest.fixture
def settings(outbox: Outbox, rabbitmq: RabbitMQ) -> Settings:
    """Settings with a queue of the test's own and a fast ladder."""
    return Settings(
        database_url=outbox.url,
        broker_url=rabbitmq.url,
        queue=f"test.{next(_names)}",
        timeouts=Timeouts(**FAST),
        instrument=False,
        metrics_port=0,
    )


@pytest.fixture
def relay(settings: Settings, free_port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A relay process with its metrics on `free_port`."""
    with program("service.relay", settings, SERVICE_METRICS_PORT=str(free_port)) as process:
        yield process


@pytest.fixture
def metric(free_port: int) -> Callable[..., float | None]:
    """Read a metric of a process that serves on `free_port`; None if it is not there."""

    def read(name: str, **labels: str) -> float | None:
        try:
            text = httpx.get(f"http://127.0.0.1:{free_port}/metrics", trust_env=False).text
        except httpx.TransportError:
            return None
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    return sample.value
        return None

    return read


@pytest.fixture
def queue(settings: Settings, rabbitmq: RabbitMQ) -> Queue:
    return Queue(rabbitmq.url, settings.queue)


@pytest.fixture
def dead_letters(settings: Settings, rabbitmq: RabbitMQ) -> Queue:
    return Queue(rabbitmq.url, f"{settings.queue}.dead")
