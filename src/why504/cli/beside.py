"""What `receive` and `watch` go and look at, each in a thread of its own, and its way out."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

import typer

from why504.errors import MissingExtra

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from why504.probe.telling.records import Sender
    from why504.watch.delivery import Delivery

POSITION: Final = "gateway.position"
"""File that keeps how far the gateway's log was sent."""
AGAIN_S: Final = 10.0
"""A watch that failed, of a log that may not be read for example, is begun anew after this."""
_RABBITMQ_PASSWORD: Final = "WHY504_RABBITMQ_PASSWORD"  # noqa: S105, where it is, not what it is
_RABBITMQ_HELP: Final = (
    "RabbitMQ's management API, whose alarms are watched: http://user@host:15672; "
    f"password in {_RABBITMQ_PASSWORD}."
)

GatewayLog = Annotated[
    Path | None, typer.Option(help="nginx's JSON access log, followed into gateway spans.")
]
GatewayTimeout = Annotated[
    float, typer.Option(min=0.001, help="The gateway's proxy_read_timeout, in seconds.")
]
PostgresUrl = Annotated[
    str | None,
    typer.Option(envvar="WHY504_POSTGRES", help="PostgreSQL URL whose locks are watched."),
]
BlackBox = Annotated[
    Path | None,
    typer.Option(
        envvar="WHY504_BLACK_BOX",
        help="Folder of black boxes, whose processes are told of while C code keeps their GIL.",
    ),
]
RabbitMQUrl = Annotated[str | None, typer.Option(envvar="WHY504_RABBITMQ", help=_RABBITMQ_HELP)]

_log = logging.getLogger(__name__)

Run = Callable[[threading.Event], None]


@dataclass(frozen=True, slots=True)
class Sights:
    """What there is to look at; nothing if all are None."""

    gateway_log: Path | None
    gateway_timeout_s: float
    postgres: str | None
    rabbitmq: str | None
    black_box: Path | None = None

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return any((self.gateway_log, self.postgres, self.rabbitmq, self.black_box))


class Beside:
    """The threads that watch, and the one that delivers."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._threads: list[threading.Thread] = []
        self._failed: dict[str, tuple[float, str]] = {}
        """When a watch failed last, and how."""

    def begin(self, name: str, run: Run) -> None:
        """Run it until it is time to stop."""
        thread = threading.Thread(target=self._steadily, args=(name, run), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def failing(self) -> list[str]:
        """Return which of them don't work now, and why."""
        since_s = time.monotonic() - 2 * AGAIN_S
        return [f"{name}: {why}" for name, (at_s, why) in self._failed.items() if at_s > since_s]

    def join(self, timeout_s: float) -> None:
        """Wait for all of them, for so long together."""
        until_s = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, until_s - time.monotonic()))

    def _steadily(self, name: str, run: Run) -> None:
        while True:
            try:
                run(self._stop)
            except Exception as error:
                self._failed[name] = (time.monotonic(), f"{type(error).__name__}: {error}")
                _log.exception("%s failed, and is begun anew in %g s", name, AGAIN_S)
            if self._stop.wait(AGAIN_S):
                return


def look(
    sights: Sights,
    endpoint: str,
    folder: Path,
    registry: CollectorRegistry,
    stop: threading.Event,
) -> tuple[Beside, Delivery]:
    """Begin to look, and to send what is seen to an OTLP receiver.

    Args:
        endpoint: base URL of OTLP over HTTP.
        folder: keeps the place in the gateway's log.
        registry: gets what is counted.

    Raises:
        ConfigError: an address or a setting makes no sense.
        MissingExtra: the driver of PostgreSQL is not installed.
    """
    from why504.watch.delivery import Delivery
    from why504.watch.delivery_metrics import Delivered
    from why504.watch.otlp import OtlpClient, target_of
    from why504.watch.standstill import StandstillWatch

    delivery = Delivery(OtlpClient(target_of(endpoint)).post, Delivered(registry))
    runs: list[tuple[str, Run]] = [("records", delivery.run)]
    if sights.gateway_log is not None:
        runs += _gateway(sights.gateway_log, sights.gateway_timeout_s, delivery, folder, registry)
    if sights.postgres is not None:
        runs.append(("PostgreSQL", _postgres(sights.postgres, delivery)))
    if sights.rabbitmq is not None:
        runs.append(("RabbitMQ", _rabbitmq(sights.rabbitmq, delivery)))
    if sights.black_box is not None:
        runs.append(("black boxes", StandstillWatch(sights.black_box, delivery.take).run))
    beside = Beside(stop)
    for name, run in runs:
        beside.begin(name, run)
    return beside, delivery


def _gateway(
    log: Path, timeout_s: float, delivery: Delivery, folder: Path, registry: CollectorRegistry
) -> list[tuple[str, Run]]:
    from why504.watch.gateway import GatewayWatch
    from why504.watch.gateway_metrics import GatewayCount, GatewayMetrics

    position = folder / POSITION
    watch = GatewayWatch(log, delivery.deliver, position, timeout_s)
    count = GatewayCount(log, position, GatewayMetrics(registry))
    return [("gateway's log", watch.run), ("gateway's requests", count.run)]


def _postgres(url: str, delivery: Delivery) -> Run:
    try:
        from why504.watch.postgres import PostgresWatch
    except ImportError as missing:
        raise MissingExtra("embedded") from missing
    place = urlsplit(url)
    address = f"{place.hostname}:{place.port or 5432}"
    return PostgresWatch(url, _sender("postgresql", address, delivery)).run


def _rabbitmq(url: str, delivery: Delivery) -> Run:
    from why504.watch.rabbitmq import RabbitMQWatch, place_of

    place = place_of(url, os.environ.get(_RABBITMQ_PASSWORD))
    return RabbitMQWatch(place, _sender("rabbitmq", place.address, delivery)).run


def _sender(service: str, address: str, delivery: Delivery) -> Sender:
    """Return a sender for what is seen at an address.

    An instance of its own: what is open is open until its instance was last heard of.
    """
    from opentelemetry.sdk.resources import Resource

    from why504.watch.delivery import QueuedSender

    told = {"service.name": service, "service.instance.id": f"{service}@{address}"}
    return QueuedSender(delivery, Resource.create(told))
