"""`why504 receive`: the receiver, and beside it what we go and look at."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

import typer

from why504.cli.options import DEFAULT_STORE, Folder, clear_errors

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from why504.probe.records import RecordSender
    from why504.watch.gateway import GatewayWatch

_RABBITMQ_PASSWORD: Final = "WHY504_RABBITMQ_PASSWORD"  # noqa: S105, where it is, not what it is
_RABBITMQ_HELP: Final = (
    "RabbitMQ's management API, whose alarms are watched: http://user@host:15672; "
    f"password in {_RABBITMQ_PASSWORD}."
)


def receive(
    *,
    store: Folder = DEFAULT_STORE,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 4318,
    keep_h: Annotated[float, typer.Option(min=0.1, help="Hours for which spans are kept.")] = 168,
    gateway_log: Annotated[
        Path | None, typer.Option(help="nginx's JSON access log, followed into gateway spans.")
    ] = None,
    gateway_timeout_s: Annotated[
        float, typer.Option(min=0.001, help="The gateway's proxy_read_timeout, in seconds.")
    ] = 60,
    postgres: Annotated[
        str | None,
        typer.Option(envvar="WHY504_POSTGRES", help="PostgreSQL URL whose locks are watched."),
    ] = None,
    rabbitmq: Annotated[
        str | None, typer.Option(envvar="WHY504_RABBITMQ", help=_RABBITMQ_HELP)
    ] = None,
) -> None:
    """Receive OTLP into a folder, beside the gateway's log, PostgreSQL's locks, RabbitMQ's alarms.

    The account for RabbitMQ needs the tag `monitoring`. /metrics counts spans, and what the
    gateway answered: alerts/rules are made of it.
    """
    from prometheus_client import CollectorRegistry

    from why504.receive.server import serve

    stop = threading.Event()
    registry = CollectorRegistry()

    def ready(bound_port: int) -> None:
        endpoint = f"http://{host}:{bound_port}"
        typer.echo(f"receiving OTLP on {endpoint}/v1/traces into {store.resolve()}")
        if gateway_log is not None:
            watch = _gateway(gateway_log, endpoint, store, gateway_timeout_s, registry)
            threading.Thread(
                target=watch.run, args=(stop,), name="gateway-log", daemon=True
            ).start()
        if postgres is not None:
            _watch_postgres(postgres, endpoint, stop)
        if rabbitmq is not None:
            _watch_rabbitmq(rabbitmq, endpoint, stop)

    with clear_errors():
        try:
            serve(
                store, host=host, port=port, max_age_s=keep_h * 3600,
                registry=registry, ready=ready,
            )  # fmt: skip
        finally:
            stop.set()


def _gateway(
    log: Path, endpoint: str, store: Path, timeout_s: float, registry: CollectorRegistry
) -> GatewayWatch:
    from why504.watch.gateway import GatewayWatch
    from why504.watch.gateway_metrics import GatewayMetrics

    metrics = GatewayMetrics(registry)
    return GatewayWatch(log, endpoint, store / "gateway.position", timeout_s, metrics=metrics)


def _watch_postgres(url: str, endpoint: str, stop: threading.Event) -> None:
    from why504.watch.postgres import PostgresWatch

    place = urlsplit(url)
    sender = _sender("postgresql", f"{place.hostname}:{place.port or 5432}", endpoint)
    watch = PostgresWatch(url, sender)
    threading.Thread(target=watch.run, args=(stop,), name="postgres", daemon=True).start()


def _watch_rabbitmq(url: str, endpoint: str, stop: threading.Event) -> None:
    from why504.watch.rabbitmq import RabbitMQWatch, place_of

    place = place_of(url, os.environ.get(_RABBITMQ_PASSWORD))
    watch = RabbitMQWatch(place, _sender("rabbitmq", place.address, endpoint))
    threading.Thread(target=watch.run, args=(stop,), name="rabbitmq", daemon=True).start()


def _sender(service: str, address: str, endpoint: str) -> RecordSender:
    """Return a sender for what is seen at an address.

    An instance of its own: what is open is open until its instance was last heard of.
    """
    from opentelemetry.sdk.resources import Resource

    from why504.probe.records import RecordSender

    told = {"service.name": service, "service.instance.id": f"{service}@{address}"}
    return RecordSender(endpoint, Resource.create(told))
