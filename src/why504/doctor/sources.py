"""Where limits are read: probes of running processes, a file, and the database server itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from why504.config import bearer
from why504.errors import ConfigError, MissingExtra
from why504.ladder.rung import Rung, rungs_of

_MOST_BYTES: Final = 2_000_000
_PATIENCE_S: Final = 5
_POSTGRES: Final = """
    SELECT name, setting FROM pg_settings WHERE name IN (
        'statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout')
"""
# Older servers lack reserved_connections; what superusers keep for themselves nobody else gets.
_CONNECTIONS: Final = """
    SELECT sum(CASE name WHEN 'max_connections' THEN 1 ELSE -1 END * setting::bigint)
    FROM pg_settings
    WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections')
"""


def from_probe(url: str) -> list[Rung]:
    """Return the limits that a running process tells at its probe's own port.

    Raises:
        ConfigError: nobody answers there, or not with limits.
    """
    import httpx

    where = f"{url}/debug/limits"
    try:
        with httpx.stream("GET", where, timeout=_PATIENCE_S, headers=bearer()) as answer:
            if answer.status_code == 404:
                raise ConfigError(f"{url} knows no /debug/limits: its why504 is older than this")
            if answer.status_code == 401:
                raise ConfigError(f"{url} wants a token: set WHY504_METRICS_TOKEN as there")
            answer.raise_for_status()
            body = b""
            for chunk in answer.iter_bytes():
                body += chunk
                if len(body) > _MOST_BYTES:
                    raise ConfigError(f"{where} answers with more than {_MOST_BYTES:,} bytes")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ConfigError(
            f"no probe answers at {url} ({type(error).__name__}); it takes the first free port "
            "from 9464 on, or WHY504_METRICS_PORT: why504 doctor --url http://127.0.0.1:PORT"
        ) from error
    return rungs_of(_json(body, where), where)


def from_file(path: Path) -> list[Rung]:
    """Return the limits of a JSON file: rows of `/debug/limits`, or names and their seconds.

    Raises:
        ConfigError: there is no such file, or it holds something else.
    """
    try:
        with path.open("rb") as file:
            body = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"can't read {path}: {error.strerror}") from error
    if len(body) > _MOST_BYTES:
        raise ConfigError(f"{path} has more than {_MOST_BYTES:,} bytes")
    return rungs_of(_json(body, str(path)), str(path))


def from_postgres(url: str) -> tuple[list[Rung], int]:
    """Return what the server itself enforces for new sessions of this account, and its room.

    Raises:
        ConfigError: it can't be reached or asked.
        MissingExtra: psycopg is not installed.
    """
    try:
        import psycopg
        from psycopg.conninfo import conninfo_to_dict, make_conninfo
    except ImportError as error:
        raise MissingExtra("embedded") from error

    try:
        # Options in the URL would hide what a session gets that asks for nothing.
        told = make_conninfo(url, options="", connect_timeout=_PATIENCE_S)
    except psycopg.ProgrammingError:
        # The parser's own message may repeat the password.
        raise ConfigError(
            "not a PostgreSQL address; write postgresql://user@host:5432/name"
        ) from None
    try:
        with psycopg.connect(told, application_name="why504-doctor") as connection:
            limits: dict[str, str] = dict(connection.execute(_POSTGRES).fetchall())
            (room,) = connection.execute(_CONNECTIONS).fetchall()[0]
    except psycopg.Error as error:
        place = conninfo_to_dict(told)
        address = f"{place.get('host', 'localhost')}:{place.get('port', 5432)}"
        raise ConfigError(
            f"PostgreSQL at {address} can't be asked: {type(error).__name__}"
        ) from error
    return [_server_rung(name, setting) for name, setting in sorted(limits.items())], int(room)


def without_defaults(told: Sequence[Rung], server: Sequence[Rung]) -> list[Rung]:
    """Return all rungs but those of the server that the application's sessions override."""
    known = {rung.kind for rung in told}
    return [*told, *(rung for rung in server if rung.kind not in known)]


def _server_rung(name: str, setting: str) -> Rung:
    kind = name.removesuffix("_session_timeout").removesuffix("_timeout")
    # PostgreSQL counts milliseconds, and its 0 is no limit.
    return Rung(kind, int(setting) / 1000 or None, where=f"PostgreSQL's own {name}")


def _json(body: bytes, where: str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where} holds no JSON") from error
