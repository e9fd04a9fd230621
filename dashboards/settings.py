"""What the explorer was started on: the environment and the command line, read once a run."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """Where evidence is, and where links lead. Empty or None: there is none."""

    store: Path | None = None
    """Folder that `why504 receive` writes to, or Tempo's address, which as a path lacks a slash
    (why504.stores.opening): `--store`, else WHY504_STORE."""
    ledger: Path | None = None
    """File of the router's alerts: WHY504_ALERTS_LEDGER."""
    probes: tuple[str, ...] = ()
    """Addresses of probes' own ports: WHY504_PROBE, with commas between."""
    nginx: Path | None = None
    """nginx's configuration, for the ladder of timeouts: WHY504_NGINX."""
    limits: Path | None = None
    """JSON file of further limits, or what `why504 doctor --json` printed: WHY504_LIMITS."""
    postgres: str = field(default="", repr=False)
    """PostgreSQL's address, asked for its own limits; a secret, never shown: WHY504_POSTGRES."""
    gateway_limit_s: float | None = None
    """How long the gateway waits, where no evidence tells: WHY504_GATEWAY_TIMEOUT_S."""
    trace_url: str = ""
    """Where a trace is shown by Tempo or Grafana, `{trace}` for its id: WHY504_TRACE_URL."""
    langfuse_url: str = ""
    """Where Langfuse shows a trace, `{trace}` for its id: WHY504_LANGFUSE_URL."""
    allowed: tuple[str, ...] = ()
    """Who may look when others than this machine can: WHY504_EXPLORER_ALLOW (see admission.py)."""

    @classmethod
    def read(cls, arguments: Sequence[str], env: Mapping[str, str]) -> Settings:
        """Return the settings; the command line goes before the environment."""
        parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        parser.add_argument("--store", default=env.get("WHY504_STORE"))
        return cls(
            store=_path(parser.parse_known_args(arguments)[0].store),
            ledger=_path(env.get("WHY504_ALERTS_LEDGER")),
            probes=_several(env.get("WHY504_PROBE")),
            nginx=_path(env.get("WHY504_NGINX")),
            limits=_path(env.get("WHY504_LIMITS")),
            postgres=env.get("WHY504_POSTGRES", ""),
            gateway_limit_s=_seconds(env.get("WHY504_GATEWAY_TIMEOUT_S")),
            trace_url=env.get("WHY504_TRACE_URL", ""),
            langfuse_url=env.get("WHY504_LANGFUSE_URL", ""),
            allowed=_several(env.get("WHY504_EXPLORER_ALLOW")),
        )


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _seconds(text: str | None) -> float | None:
    """Return a length of time; None for what is none, for it only moves a line in a picture."""
    try:
        seconds = float(text or "nan")
    except ValueError:
        return None
    return seconds if 0 < seconds < math.inf else None


def _several(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())
