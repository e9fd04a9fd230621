"""`why504 alerts`: the router, a message to try it with, and what it told."""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from why504.cli.guarding import Outside, guarding
from why504.cli.options import Json, clear_errors
from why504.errors import ConfigError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from why504.alerts.cards.frame import Place
    from why504.alerts.kept.ledger import Ledger
    from why504.alerts.kept.message import Message
    from why504.alerts.steadily import Work
    from why504.config import AlertSettings

alerts = typer.Typer(
    help="Take alerts, keep them, and tell them in Google Chat.", no_args_is_help=True
)
Kept = Annotated[
    Path,
    typer.Option("--ledger", envvar="WHY504_ALERTS_LEDGER", help="File that alerts are kept in."),
]
_LEDGER = Path(".why504/alerts.sqlite")
_SWITCH_S = 0.0005


@alerts.command()
def serve(
    *,
    ledger: Kept = _LEDGER,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 9504,
    store: Annotated[
        Path | None,
        typer.Option(envvar="WHY504_STORE", help="What `why504 receive` writes: causes of P0s."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print messages instead of sending them.")
    ] = False,
) -> None:
    """Take alerts at /alertmanager and /api/v2/alerts, and deliver each of them, whatever happens.

    The webhook's address is a secret: it is read from the file WHY504_ALERTS_WEBHOOK_FILE, or from
    WHY504_ALERTS_WEBHOOK, never from the command line. WHY504_ALERTS_TICKETS names the tracker in
    which every P1 gets a ticket.
    """
    from why504.alerts.kept.ledger import Ledger
    from why504.config import AlertSettings

    with clear_errors():
        settings = AlertSettings.from_env()
        with Outside(settings, dry_run=dry_run) as outside:
            told = replace(settings, tickets="") if dry_run else settings
            _serve(Ledger(ledger), outside, told, store, host=host, port=port)


@alerts.command("test")
def try_(
    *, url: Annotated[str, typer.Option(help="The running router.")] = "http://127.0.0.1:9504"
) -> None:
    """Raise a P0, a P1 and a P2 at the running router, each resolved after a minute."""
    import httpx

    from why504.config import AlertSettings

    ends_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))
    body = [
        {
            "labels": {"alertname": "TestAlert", "severity": level, "service_name": "why504-test"},
            "annotations": {"summary": f"a test of {level.upper()}: nothing is wrong"},
            "endsAt": ends_at,
        }
        for level in ("p0", "p1", "p2")
    ]
    with clear_errors():
        token = AlertSettings.from_env().token
        headers = {"authorization": f"Bearer {token}"} if token else {}
        try:
            answer = httpx.post(f"{url}/api/v2/alerts", json=body, headers=headers, timeout=10)
        except httpx.HTTPError as error:
            raise ConfigError(
                f"no router at {url} ({error}): start `why504 alerts serve`"
            ) from error
        if not answer.is_success:
            raise ConfigError(f"the router answered {answer.status_code}: {answer.text}")
    typer.echo("taken: the P0 and the P1 are in the room within seconds, the P2 in the next digest")


@alerts.command("log")
def log_(
    *,
    ledger: Kept = _LEDGER,
    most: Annotated[int, typer.Option(min=1, help="So many messages, the newest first.")] = 20,
    as_json: Json = False,
) -> None:
    """Print what was told, when, and what could not be."""
    from why504.alerts.kept.ledger import Ledger

    with clear_errors():
        if not ledger.is_file():
            raise ConfigError(f"there is no ledger at {ledger}: name it with --ledger")
        told = Ledger(ledger).history(most)
    if as_json:
        typer.echo(json.dumps([_document(one) for one in told], indent=2))
        return
    for one in told:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(one.frozen_ns / 1e9))
        why = f"  {one.reason}" if one.reason else ""
        text = json.loads(one.body)["text"]
        typer.echo(
            f"{at}  {one.level.name}  {one.state:<9}  {one.attempts} x  {one.room}  {text}{why}"
        )


def _document(one: Message) -> dict[str, object]:
    return {
        "request_id": one.request_id,
        "level": one.level.name,
        "state": one.state,
        "attempts": one.attempts,
        "made_at_ns": one.frozen_ns,
        "ended_at_ns": one.ended_ns,
        "reason": one.reason,
        "room": one.room,
        "message": json.loads(one.body),
        "alerts": [
            {
                "fingerprint": alert.fingerprint,
                "alertname": alert.name,
                "service": alert.service,
                "status": alert.status,
                "starts_at_ns": alert.starts_ns,
            }
            for alert in one.told
        ],
    }


def _serve(
    ledger: Ledger,
    outside: Outside,
    settings: AlertSettings,
    store: Path | None,
    *,
    host: str,
    port: int,
) -> None:
    from prometheus_client import CollectorRegistry, ProcessCollector

    from why504.alerts.app import create_app
    from why504.alerts.guard.acknowledging import ack_routes
    from why504.alerts.metrics import Delivering, lead_to_explorer
    from why504.alerts.rooms.delivery import Delivery
    from why504.alerts.rooms.explaining import Explaining
    from why504.alerts.rooms.finding import StoredEvidence
    from why504.alerts.rooms.pace import Pace
    from why504.alerts.runbooks import pages
    from why504.alerts.steadily import steadily
    from why504.cli.ticketing import ticketing_of
    from why504.probe.clock import Clock
    from why504.stack import folder

    clock = Clock()
    pace = Pace(random.Random())  # noqa: S311 - jitter, no secret
    place = _place(settings, ledger)
    delivery = Delivery(ledger, outside.first(), place, pace, clock, explained=store is not None)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(Delivering(ledger, clock))
    if settings.explorer_url:
        lead_to_explorer(registry, settings.explorer_url)
    work: list[Work] = [delivery.run]
    work += guarding(
        ledger, delivery.sender.reach, outside, settings, place, registry=registry, clock=clock
    )
    if store is not None:
        explaining = Explaining(ledger, StoredEvidence(store), clock)
        work.append(steadily(explaining.step, "finding causes"))
    if ticketing := ticketing_of(ledger, settings, clock, registry):
        work.append(steadily(ticketing.step, "ticketing"))
    app = create_app(ledger, delivery, registry, clock, token=settings.token)
    app.include_router(pages(folder()))
    if settings.public_url:
        app.include_router(ack_routes(ledger, place.ack_links, clock, settings.language))
    typer.echo(f"taking alerts on http://{host}:{port}/alertmanager")
    try:
        _run(app, work, wake=delivery.wake, host=host, port=port)
    finally:
        ledger.close()


def _run(
    app: FastAPI, work: Sequence[Work], *, wake: Callable[[], None], host: str, port: int
) -> None:
    """Serve until told to end, with a thread for each piece of work; `wake` ends its waiting."""
    import uvicorn

    stop = threading.Event()
    threads = [threading.Thread(target=one, args=(stop,), daemon=True) for one in work]
    for thread in threads:
        thread.start()
    # SQLite lets go of the interpreter at each statement: by default a busy thread gives it back
    # only 5 ms later, and whoever sends alerts waits for several of them.
    sys.setswitchinterval(_SWITCH_S)
    try:
        uvicorn.run(app, host=host, port=port, log_level="warning", access_log=False)
    finally:
        stop.set()
        wake()
        for thread in threads:
            thread.join(timeout=15)


def _place(settings: AlertSettings, ledger: Ledger) -> Place:
    from why504.alerts.cards.ack_links import AckLinks
    from why504.alerts.cards.frame import Place

    public_url = settings.public_url.rstrip("/")
    links = AckLinks(public_url, ledger.acknowledgements.key()) if public_url else AckLinks()
    return Place(
        language=settings.language,
        mention=settings.mention,
        explorer_url=settings.explorer_url,
        alertmanager_url=settings.alertmanager_url,
        grafana_url=settings.grafana_url,
        public_url=public_url,
        link_hosts=settings.hosts(),
        ack_links=links,
    )
