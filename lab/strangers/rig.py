"""What the strangers stand on: a receiver with its store, nginx, and peers that they need."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import httpx
import pika

from lab.deployment import START_TIMEOUT_S, receiver
from lab.faults import ROOT
from lab.stack.nginx import Nginx
from lab.stack.ports import free_port
from lab.stack.postgres import Postgres
from lab.stack.process import Process, Program, start, wait_until
from lab.stack.rabbitmq import RabbitMQ
from lab.stack.ready import answers
from lab.strangers.table import POSTGRES, RABBITMQ, SERVICES, SILENT, Calls, Stranger
from why504.stores.parquet import ParquetStore

GATEWAY_TIMEOUT_S: Final = 3.0
PATIENCE_S: Final = 30.0
_STORE: Final = "store"
_BACKLOG: Final = 512


@dataclass
class Rig:
    """Runs one stranger after another behind one gateway, into one store."""

    folder: Path
    stack: ExitStack
    endpoint: str
    """Where the services send what they tell."""
    received: Process
    gateway: Nginx
    port: int
    gateway_timeout_s: float = GATEWAY_TIMEOUT_S
    more: dict[str, str] = field(default_factory=dict)
    """Of the environment of all services."""
    peers: dict[str, str] = field(default_factory=dict)
    """Address of what strangers need, once it was started."""

    @classmethod
    def start(
        cls, folder: Path, stack: ExitStack, *, gateway_timeout_s: float = GATEWAY_TIMEOUT_S
    ) -> Self:
        """Start the receiver and the gateway; `stack` ends everything.

        Raises:
            LabError: a part did not start.
        """
        port = free_port()
        gateway = Nginx.start(folder / "nginx", upstream_ports=[port], timeout_s=gateway_timeout_s)
        stack.enter_context(gateway)
        told = ["--gateway-log", str(gateway.access_log)]
        told += ["--gateway-timeout-s", f"{gateway_timeout_s:g}"]
        received, endpoint = receiver(folder, _STORE, told)
        stack.callback(received.stop)
        wait_until(answers(f"{endpoint}/healthz"), received, START_TIMEOUT_S)
        return cls(folder, stack, endpoint, received, gateway, port, gateway_timeout_s)

    @property
    def store_folder(self) -> Path:
        """Return where it is kept what was received."""
        return self.folder / _STORE

    @property
    def store(self) -> ParquetStore:
        """Return what was received."""
        return ParquetStore(self.store_folder)

    @contextmanager
    def serving(self, stranger: Stranger) -> Iterator[Process]:
        """Serve a stranger, warmed up; killed at the end, for it hangs."""
        process = start(
            Program(self._command(stranger), stranger.id, self.folder, self.environment(stranger))
        )
        try:
            if stranger.warm:
                wait_until(answers(self.gateway.url + stranger.warm), process, START_TIMEOUT_S)
                for _ in range(5):
                    httpx.get(self.gateway.url + stranger.warm, timeout=5, trust_env=False)
            else:
                wait_until(lambda: self._consumers(stranger) > 0, process, START_TIMEOUT_S)
            yield process
        finally:
            process.kill()

    @contextmanager
    def asked(self, stranger: Stranger) -> Iterator[list[Future[int]]]:
        """Ask everything at once, or send the messages; yields what becomes of the requests."""
        todo = [(calls, n) for calls in stranger.calls for n in range(1, calls.many + 1)]
        with ThreadPoolExecutor(max(1, len(todo))) as clients:
            futures = []
            for calls, n in todo:
                futures.append(clients.submit(self._ask, calls, n))
                time.sleep(0.01)  # the first of them is to be the first
            self._publish(stranger)
            yield futures

    def _ask(self, calls: Calls, n: int) -> int:
        url = self.gateway.url + calls.path.format(n=n)
        try:
            return httpx.request(
                calls.method, url, timeout=self.gateway_timeout_s * 4, trust_env=False
            ).status_code
        except httpx.TransportError:
            return 0

    def _command(self, stranger: Stranger) -> list[str]:
        arguments = [part.format(port=self.port) for part in stranger.serve]
        if arguments[0].endswith(".py"):
            arguments[0] = str(ROOT / SERVICES / arguments[0])
        return [sys.executable, *arguments]

    def environment(self, stranger: Stranger) -> Mapping[str, str]:
        """Return what a stranger is told: who it is, where its peers are."""
        return {
            "PYTHONPATH": f"{ROOT / SERVICES}:{ROOT / 'src'}",
            "PYTHONDONTWRITEBYTECODE": "",
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.endpoint,
            "OTEL_SERVICE_NAME": stranger.id,
            "WHY504_METRICS_PORT": "-1",
            **self.more,
            **{name: self._address(peer) for name, peer in stranger.needs.items()},
        }

    # --- peers --------------------------------------------------------------------------------

    def _address(self, peer: str) -> str:
        """Return the address of a peer, started when it is first needed."""
        if peer not in self.peers:
            self.peers[peer] = {
                POSTGRES: self._postgres,
                RABBITMQ: self._rabbitmq,
                SILENT: self._silent,
            }[peer]()
        return self.peers[peer]

    def _postgres(self) -> str:
        database = self.stack.enter_context(Postgres.start(self.folder / "postgres"))
        return database.new_database()

    def _rabbitmq(self) -> str:
        return self.stack.enter_context(RabbitMQ.start(self.folder / "rabbitmq")).url

    def _silent(self) -> str:
        listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
        self.stack.callback(listener.close)
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    def _publish(self, stranger: Stranger) -> None:
        if not stranger.messages:
            return
        with pika.BlockingConnection(pika.URLParameters(self._address(RABBITMQ))) as connection:
            channel = connection.channel()
            for n in range(stranger.messages):
                channel.basic_publish("", _queue(stranger), json.dumps({"invoice": n}).encode())

    def _consumers(self, stranger: Stranger) -> int:
        with suppress(pika.exceptions.AMQPError):
            parameters = pika.URLParameters(self._address(RABBITMQ))
            with pika.BlockingConnection(parameters) as connection:
                told = connection.channel().queue_declare(_queue(stranger), passive=True)
                return int(told.method.consumer_count)
        return 0


def _queue(stranger: Stranger) -> str:
    return Path(stranger.service).stem
