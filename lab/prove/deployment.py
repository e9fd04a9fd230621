"""The whole reference service as it would run: nginx, two processes of the API, relay, workers.

PostgreSQL, RabbitMQ and Valkey are real, Groq is its stand-in. The probe is on and tells a
receiver, and a supervisor starts again what dies. Every limit is the service's own, at full length.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.deployment import PYTHON, receiver, uvicorn
from lab.prove.supervisor import Kept, Supervisor
from lab.stack.groq import Groq
from lab.stack.nginx import Nginx
from lab.stack.ports import free_port
from lab.stack.postgres import Postgres
from lab.stack.process import Program, run
from lab.stack.rabbitmq import RabbitMQ
from lab.stack.ready import answers
from lab.stack.valkey import Valkey

API: Final = "API"
RELAY: Final = "relay"
WORKER: Final = "worker"
GATEWAY_TIMEOUT_S: Final = 60.0
LLM_S: Final = 0.15
CONNECTIONS: Final = 100
APIS: Final = 2
WORKERS: Final = 2


@dataclass(frozen=True, slots=True)
class Service:
    """The running service and what it stands on."""

    folder: Path
    database: Postgres
    database_url: str
    broker: RabbitMQ
    groq: Groq
    gateway: Nginx
    environment: Mapping[str, str]
    """Of every process of the service; a further one needs names and ports of its own."""
    kept: tuple[Kept, ...]

    def of(self, *kinds: str) -> list[Kept]:
        """Return the processes of these kinds."""
        return [each for each in self.kept if each.kind in kinds]


def deploy(folder: Path, stack: ExitStack, settings: Mapping[str, str] | None = None) -> Service:
    """Start everything in an empty `folder` and return it once it answers; `stack` ends it.

    Args:
        folder: gets logs, databases and evidence.
        stack: what ends the parts, last started first.
        settings: of the service, as environment; its defaults are what is proven.

    Raises:
        LabError: a part did not start; the message ends with the tail of its log.
    """
    with ThreadPoolExecutor(2) as starting:
        # The broker takes as long as all the rest.
        broker_starts = starting.submit(RabbitMQ.start, folder / "rabbitmq")
        database = stack.enter_context(
            Postgres.start(folder / "postgres", max_connections=CONNECTIONS)
        )
        url = database.new_database()
        run(Program([sys.executable, "-m", "lab.history", url], "history", folder, PYTHON))
        broker = stack.enter_context(broker_starts.result())
    gateway_log = folder / "nginx" / "access.jsonl"
    watched = ["--gateway-log", str(gateway_log), "--gateway-timeout-s", f"{GATEWAY_TIMEOUT_S:g}"]
    receives, receiver_url = receiver(folder, "store", [*watched, "--postgres", url])
    stack.enter_context(receives)
    groq = stack.enter_context(Groq.start(folder / "groq", delay_s=LLM_S))
    valkey = stack.enter_context(Valkey.start(folder))
    environment = {
        **PYTHON,
        "SERVICE_DATABASE_URL": url,
        "SERVICE_BROKER_URL": broker.url,
        "SERVICE_REDIS_URL": valkey.url,
        "SERVICE_GROQ_BASE_URL": groq.url,
        "SERVICE_GROQ_API_KEY": "lab",
        # All clients of the lab have one address.
        "SERVICE_RATE_LIMIT": "1000/second",
        "WHY504_ENDPOINT": receiver_url,
        **(settings or {}),
    }
    ports = [free_port() for _ in range(APIS)]
    kept = (
        *(start_api(folder, f"api-{n}", port, environment) for n, port in enumerate(ports, 1)),
        start_program(folder, "service.relay", RELAY, environment, name="relay"),
        *(
            start_program(folder, "service.worker", WORKER, environment, name=f"worker-{n}")
            for n in range(1, WORKERS + 1)
        ),
    )
    stack.enter_context(Supervisor(kept))
    gateway = Nginx.start(folder / "nginx", upstream_ports=ports, timeout_s=GATEWAY_TIMEOUT_S)
    stack.enter_context(gateway)
    return Service(folder, database, url, broker, groq, gateway, environment, kept)


def start_api(folder: Path, name: str, port: int, environment: Mapping[str, str]) -> Kept:
    """Start a process of the API on `port`, which may not be ready yet."""
    argv = uvicorn("service.main:create_app", port)
    metrics_port = free_port()
    own = {"OTEL_SERVICE_NAME": "context-handling", "WHY504_METRICS_PORT": str(metrics_port)}
    program = Program(argv, name, folder, {**environment, **own})
    ready = answers(f"http://127.0.0.1:{port}/v1/livez")
    return Kept(program, kind=API, metrics_port=metrics_port, ready=ready)


def start_program(
    folder: Path, module: str, kind: str, environment: Mapping[str, str], *, name: str
) -> Kept:
    """Start a relay or a worker, which may not be ready yet."""
    metrics_port = free_port()
    own = {
        "OTEL_SERVICE_NAME": f"context-handling-{kind}",
        "SERVICE_METRICS_PORT": str(metrics_port),
        "WHY504_METRICS_PORT": str(free_port()),
    }
    program = Program([sys.executable, "-m", module], name, folder, {**environment, **own})
    # They serve no HTTP but their metrics, which they tell once all is set up.
    ready = answers(f"http://127.0.0.1:{metrics_port}/metrics")
    return Kept(program, kind=kind, metrics_port=metrics_port, ready=ready)
