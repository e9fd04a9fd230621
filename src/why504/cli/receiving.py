"""`why504 receive` and `why504 watch`: telemetry that comes, and what we go and look at."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Annotated, Final

import typer

from why504.cli.beside import (
    BlackBox,
    GatewayLog,
    GatewayTimeout,
    PostgresUrl,
    RabbitMQUrl,
    Sights,
    look,
)
from why504.cli.boxes import Salvage
from why504.cli.options import DEFAULT_STORE, Folder, clear_errors
from why504.errors import ConfigError

if TYPE_CHECKING:
    from why504.receive.spool import Spool

_FLUSH_S: Final = 5.0
"""How long what was seen may take to be sent once the command is told to stop."""


def receive(
    *,
    store: Folder = DEFAULT_STORE,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 4318,
    keep_h: Annotated[float, typer.Option(min=0.1, help="Hours for which spans are kept.")] = 168,
    gateway_log: GatewayLog = None,
    gateway_timeout_s: GatewayTimeout = 60,
    postgres: PostgresUrl = None,
    rabbitmq: RabbitMQUrl = None,
    black_box: BlackBox = None,
) -> None:
    """Receive OTLP into a folder, beside the gateway's log, PostgreSQL's locks, RabbitMQ's alarms.

    Of black boxes what only those of ended processes have is stored too. The account for RabbitMQ
    needs the tag `monitoring`. /metrics counts spans, and what the gateway answered: alerts/rules
    are made of it.
    """
    from prometheus_client import CollectorRegistry, ProcessCollector

    from why504.receive.server import serve

    sights = Sights(gateway_log, gateway_timeout_s, postgres, rabbitmq, black_box)
    stop = threading.Event()
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)

    def ready(bound_port: int, spool: Spool) -> None:
        endpoint = f"http://{host}:{bound_port}"
        typer.echo(f"receiving OTLP on {endpoint}/v1/traces into {store.resolve()}")
        if sights:
            look(sights, endpoint, store, registry, stop)
        if black_box:
            salvage = Salvage(black_box, store, spool)
            Thread(target=salvage.run, args=(stop,), name="why504 boxes", daemon=True).start()

    with clear_errors():
        try:
            serve(
                store, host=host, port=port, max_age_s=keep_h * 3600,
                registry=registry, ready=ready,
            )  # fmt: skip
        finally:
            stop.set()


def watch(
    *,
    endpoint: Annotated[
        str,
        typer.Option(
            envvar="OTEL_EXPORTER_OTLP_ENDPOINT",
            help="Where spans go, OTLP over HTTP: a collector.",
        ),
    ] = "http://127.0.0.1:4318",
    gateway_log: GatewayLog = None,
    gateway_timeout_s: GatewayTimeout = 60,
    postgres: PostgresUrl = None,
    rabbitmq: RabbitMQUrl = None,
    black_box: BlackBox = None,
    state: Annotated[
        Path,
        typer.Option(
            envvar="WHY504_WATCH_STATE", help="Folder that keeps the place in the gateway's log."
        ),
    ] = DEFAULT_STORE,
    host: Annotated[str, typer.Option(help="Address of /metrics and /healthz.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Its port; 0 takes a free one.")] = 9465,
) -> None:
    """Look at the gateway's log, PostgreSQL's locks and RabbitMQ's alarms; send them as spans.

    For where traces go to a collector; `why504 receive` does the same for its own store.
    OTEL_EXPORTER_OTLP_HEADERS, _CERTIFICATE, _CLIENT_CERTIFICATE, _CLIENT_KEY and _COMPRESSION are
    honoured. While the collector takes nothing the log waits, and so do 8,192 records; what has to
    be given up is counted at /metrics.
    """
    from prometheus_client import CollectorRegistry

    from why504.watch.page import served

    sights = Sights(gateway_log, gateway_timeout_s, postgres, rabbitmq, black_box)
    stop = threading.Event()
    registry = CollectorRegistry()
    with clear_errors():
        if not sights:
            raise ConfigError(
                "nothing to watch: name --gateway-log, --postgres, --rabbitmq or --black-box"
            )
        for told in (signal.SIGTERM, signal.SIGINT):
            signal.signal(told, lambda *_: stop.set())
        beside, delivery = look(sights, endpoint, state, registry, stop)

        def health() -> tuple[bool, str]:
            failing = beside.failing()
            unsent_s = delivery.unsent_s()
            waiting = f"; nothing has been taken for {unsent_s:.0f} s" if unsent_s else ""
            return not failing, "\n".join(failing) or f"ok{waiting}"

        with served(host, port, registry, health) as bound_port:
            typer.echo(f"watching; /metrics and /healthz on http://{host}:{bound_port}")
            stop.wait()
            beside.join(_FLUSH_S)
