"""What the service talks to beside its database: an LLM, a broker, and what a fault asks for."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.faults import Fault
from lab.stack.broker import MuteBroker
from lab.stack.groq import Groq
from lab.stack.mem0 import Mem0
from lab.stack.rabbitmq import RabbitMQ

MEM0: Final = "Mem0"
RABBITMQ: Final = "RabbitMQ"
NEEDS: Final = frozenset({MEM0, RABBITMQ})
"""What a fault may ask for: it takes time to start, so that others go without."""


@dataclass(frozen=True, slots=True)
class Peers:
    """The running peers; None = the fault did not ask for it."""

    groq: Groq
    mem0: Mem0 | None
    rabbitmq: RabbitMQ | None
    broker_url: str
    """Of RabbitMQ if there is one, else of a broker that never says a word."""

    def environment(self) -> Mapping[str, str]:
        """Return how the service finds them."""
        found = {
            "SERVICE_GROQ_BASE_URL": self.groq.url,
            "SERVICE_GROQ_API_KEY": "lab",
            "LAB_BROKER_URL": self.broker_url,
        }
        if self.mem0 is not None:
            found |= {"SERVICE_MEM0_BASE_URL": self.mem0.url, "SERVICE_MEM0_API_KEY": "lab"}
        return found

    def watched(self) -> list[str]:
        """Return the options with which `why504 receive` asks them."""
        if self.rabbitmq is None:
            return []
        return ["--rabbitmq", f"http://guest@127.0.0.1:{self.rabbitmq.management_port}"]

    def wait_until_ready(self) -> None:
        """Return once all of them take connections.

        Raises:
            LabError: one did not start; the message ends with the tail of its log.
        """
        if self.rabbitmq is not None:
            self.rabbitmq.wait_until_ready()


def begin(row: Fault, folder: Path, stack: ExitStack) -> Peers:
    """Start the peers of a fault; RabbitMQ, which takes long, may not be ready yet.

    Raises:
        LabError: one did not start, or there is no RabbitMQ; the message says what to install.
    """
    rabbitmq = mem0 = None
    if RABBITMQ in row.needs:
        rabbitmq = stack.enter_context(RabbitMQ.begin(folder / "rabbitmq", management=True))
    if MEM0 in row.needs:
        mem0 = stack.enter_context(Mem0.start(folder / "mem0"))
    groq = stack.enter_context(Groq.start(folder / "groq", delay_s=row.usual_llm_s))
    broker = rabbitmq or stack.enter_context(MuteBroker())
    return Peers(groq, mem0, rabbitmq, broker.url)
