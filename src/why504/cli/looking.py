"""Commands that look at what runs now: `why504 ps` and `why504 doctor`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from why504 import report
from why504.cli.options import Json, clear_errors
from why504.config import bearer
from why504.errors import ConfigError
from why504.ladder.examine import Ladder, examine


def ps(
    *,
    url: Annotated[
        str, typer.Option(envvar="WHY504_PROBE", help="Address of the probe's own port.")
    ] = "http://127.0.0.1:9464",
    as_json: Json = False,
) -> None:
    """Show what is stuck in a service now, also while its event loop is blocked."""
    import httpx

    with clear_errors():
        try:
            answer = httpx.get(f"{url}/debug/requests", timeout=5, headers=bearer())
            if answer.status_code == 401:
                raise ConfigError(f"{url} wants a token: set WHY504_METRICS_TOKEN as there")
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise ConfigError(
                f"no probe answers at {url} ({type(error).__name__}); it takes the first free port "
                "from 9464 on, or WHY504_METRICS_PORT: why504 ps --url http://127.0.0.1:PORT"
            ) from error
    if as_json:
        typer.echo(answer.text)
    else:
        Console().print(report.render_stuck(answer.json()))


def doctor(
    *,
    url: Annotated[
        list[str] | None,
        typer.Option(help="Address of a probe's own port; repeat it for each process."),
    ] = None,
    nginx: Annotated[
        Path | None, typer.Option(help="nginx's configuration, such as /etc/nginx/nginx.conf.")
    ] = None,
    postgres: Annotated[
        str | None,
        typer.Option(envvar="WHY504_POSTGRES", help="PostgreSQL URL, with the service's account."),
    ] = None,
    limits: Annotated[
        Path | None, typer.Option(help='JSON file of further limits: {"client": 70, "llm": null}.')
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw the ladder of timeouts that are in force, and name each that doesn't fit.

    Exits with 0 when all is in order, 1 when something is inverted or has no limit at all, 2 when
    something could not be read.
    """
    from why504.doctor import draw

    with clear_errors():
        if not any((url, nginx, postgres, limits)):
            raise ConfigError(
                "nothing to read: try why504 doctor --url http://127.0.0.1:9464 "
                "--nginx /etc/nginx/nginx.conf"
            )
        diagnosis = examine(_read(url or [], nginx, postgres, limits))
    if as_json:
        typer.echo(json.dumps(draw.as_json(diagnosis), indent=2))
    else:
        Console().print(draw.render(diagnosis))
    if not diagnosis.fine:
        raise typer.Exit(1)


def _read(
    urls: Sequence[str], nginx: Path | None, postgres: str | None, limits: Path | None
) -> Ladder:
    from why504.doctor import sources
    from why504.watch.nginxconf import gateway_limits

    told = [rung for url in dict.fromkeys(urls) for rung in sources.from_probe(url.rstrip("/"))]
    told += gateway_limits(nginx) if nginx else []
    told += sources.from_file(limits) if limits else []
    if postgres is None:
        return Ladder(told)
    server, room = sources.from_postgres(postgres)
    return Ladder(sources.without_defaults(told, server), server_connections=room)
