"""`.env` of docker-compose.yml: secrets of one's own, so that there is no default password.

Every value is made here, once. What is in the file is never changed, and what is missing is added.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from why504.errors import ConfigError

_CHAT: Final = "'http://127.0.0.1:8083/v1/spaces/lab/messages?key=lab&token=lab'"
_ASSIGNED: Final = re.compile(r"(?m)^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=[ \t]*(\S)")
"""A name that has a value."""
_LONG_BYTES: Final = 32
_SHORT_BYTES: Final = 16


def _password() -> str:
    # Hexadecimal: it stands in addresses and in SQL, where other signs would have to be quoted.
    return secrets.token_hex(_SHORT_BYTES)


def _key() -> str:
    return secrets.token_hex(_LONG_BYTES)


@dataclass(frozen=True, slots=True)
class Variable:
    """One line that docker-compose.yml can't do without."""

    name: str
    make: Callable[[], str]


REQUIRED: Final = (
    Variable("POSTGRES_PASSWORD", _password),
    Variable("SERVICE_DB_PASSWORD", _password),
    Variable("WATCH_DB_PASSWORD", _password),
    Variable("REDIS_PASSWORD", _password),
    Variable("RABBITMQ_PASSWORD", _password),
    Variable("GRAFANA_ADMIN_PASSWORD", _password),
    Variable("WHY504_METRICS_TOKEN", _key),
    Variable("WHY504_ALERTS_WEBHOOK", lambda: _CHAT),
    Variable("LANGFUSE_DB_PASSWORD", _password),
    Variable("LANGFUSE_CLICKHOUSE_PASSWORD", _password),
    Variable("LANGFUSE_REDIS_PASSWORD", _password),
    Variable("LANGFUSE_OBJECTS_PASSWORD", _password),
    Variable("LANGFUSE_ADMIN_PASSWORD", _password),
    Variable("LANGFUSE_NEXTAUTH_SECRET", _key),
    Variable("LANGFUSE_SALT", _key),
    Variable("LANGFUSE_ENCRYPTION_KEY", _key),
    Variable("LANGFUSE_PUBLIC_KEY", lambda: f"pk-lf-{_password()}"),
    Variable("LANGFUSE_SECRET_KEY", lambda: f"sk-lf-{_password()}"),
)

_HEAD: Final = """\
# Settings of docker-compose.yml, made by `why504 init`. Secrets: keep this file to yourself.

# Stand-ins answer for the LLM, the memory and the chat room until you have keys. Then write them
# here, take the two addresses away, put your room's webhook below, and take away this line:
COMPOSE_PROFILES=standins
GROQ_BASE_URL=http://groq:8081
GROQ_API_KEY=stand-in
MEM0_BASE_URL=http://mem0:8082
MEM0_API_KEY=stand-in

# LLM calls go to Langfuse where this is set. For the one of the profile `langfuse`:
#LANGFUSE_BASE_URL=http://langfuse-web:3000

"""
_ADDED: Final = "\n# Added by `why504 init`: it was missing.\n"


def complete(path: Path) -> Sequence[str]:
    """Make a file whole, and return the names that were added; none if nothing was missing.

    A new file may be read by its owner only. Any number may do so at once: they wait in turn.

    Raises:
        ConfigError: the file can't be read or written.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            text = file.read()
            missing = [each for each in REQUIRED if each.name not in _named(text)]
            if missing:
                file.write(_addition(text, missing))
                file.flush()
                os.fsync(file.fileno())
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigError(f"{path} can't be read or written: {reason}") from error
    return [each.name for each in missing]


def read_by_others(path: Path) -> bool:
    """Return whether anybody but the file's owner may read it."""
    return bool(path.stat().st_mode & 0o077)


def _named(text: str) -> set[str]:
    return {name for name, _ in _ASSIGNED.findall(text)}


def _addition(text: str, missing: Sequence[Variable]) -> str:
    """Return what has to follow `text`; of a name that is there twice the last counts."""
    begin = ("\n" * (not text.endswith("\n")) + _ADDED) if text else _HEAD
    return begin + "".join(f"{each.name}={each.make()}\n" for each in missing)
