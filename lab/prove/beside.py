"""The rest of the service beside the process that a fault hangs: nothing on a dashboard is empty.

A replica of the version before hands conversations over, as the others did until a moment ago; a
relay, a real RabbitMQ and a worker with LLM and memory do what becomes of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.deployment import PYTHON, Deployment
from lab.load import Load, Plan, Rates, shots
from lab.prove.books import wait_until
from lab.prove.deployment import RELAY, WORKER, start_api, start_program
from lab.prove.metrics import read, total
from lab.prove.on_call import RELAY as RELAY_TARGET
from lab.prove.on_call import WORKER as WORKER_TARGET
from lab.prove.supervisor import Kept, Supervisor
from lab.stack.mem0 import Mem0
from lab.stack.ports import free_port
from lab.stack.rabbitmq import RabbitMQ
from why504.errors import LabError

RATES: Final[Rates] = {"end": 1.5, "end again": 0.2}
START_S: Final = 90.0
WARM_S: Final = 150.0
"""A circuit breaker that opened meanwhile tries again after a minute."""


@dataclass(frozen=True, slots=True)
class Beside:
    """What runs beside."""

    targets: Mapping[str, str]
    """Address in otel/prometheus.yml -> the lab's."""
    url: str
    """Of the replica, which no gateway is in front of."""
    worker: Kept

    def load(self, duration_s: float) -> Load:
        """Return its clients."""
        return Load(self.url, shots(Plan(RATES, duration_s), seed=3), timeout_s=30)

    def wait_until_warm(self) -> None:
        """Return once the worker's memory answers: its client takes seconds to import, at first.

        Raises:
            LabError: it never did.
        """
        if not wait_until(self._remembers, timeout_s=WARM_S):
            raise LabError(f"the worker had no answer of its memory within {WARM_S:g} s")

    def _remembers(self) -> bool:
        page = read(self.worker.metrics_port, ("memory_",))
        answered = total(page, "memory_client_operation_duration_seconds_count", error_type="")
        return answered > 0 and total(page, "memory_breaker_state") == 0


def begin(deployed: Deployment, folder: Path, stack: ExitStack) -> Beside:
    """Start it on the database and the receiver of a deployment; `stack` ends it.

    Raises:
        LabError: a part did not start, or there is no RabbitMQ.
    """
    peers = deployed.world.peers
    broker = peers.rabbitmq or stack.enter_context(RabbitMQ.start(folder / "rabbitmq"))
    memory = peers.mem0 or stack.enter_context(Mem0.start(folder / "mem0"))
    environment = {
        **PYTHON,
        "SERVICE_DATABASE_URL": deployed.world.database_url,
        "SERVICE_BROKER_URL": broker.url,
        "SERVICE_GROQ_BASE_URL": peers.groq.url,
        "SERVICE_GROQ_API_KEY": "lab",
        "SERVICE_MEM0_BASE_URL": memory.url,
        "SERVICE_MEM0_API_KEY": "lab",
        # All clients of the lab have one address.
        "SERVICE_RATE_LIMIT": "1000/second",
        "WHY504_ENDPOINT": f"http://{deployed.receiver_address}",
    }
    port = free_port()
    relay = start_program(folder, "service.relay", RELAY, environment, name="relay")
    worker = start_program(folder, "service.worker", WORKER, environment, name="worker")
    replica = start_api(folder, "replica", port, environment)
    stack.enter_context(Supervisor((relay, worker, replica), start_timeout_s=START_S))
    targets = {
        RELAY_TARGET: f"127.0.0.1:{relay.metrics_port}",
        WORKER_TARGET: f"127.0.0.1:{worker.metrics_port}",
    }
    return Beside(targets, f"http://127.0.0.1:{port}", worker)
