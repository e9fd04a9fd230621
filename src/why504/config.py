"""Settings, each read once from the environment and passed in; nothing is read at import."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

from why504.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """What the probe does inside a service. Every field can be set as `WHY504_<FIELD>`."""

    endpoint: str = "http://127.0.0.1:4318"
    """Where spans and records go, OTLP over HTTP; OTEL_EXPORTER_OTLP_ENDPOINT is honoured too."""
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 9464
    """Port of /metrics and /debug/requests; busy: the next free one; -1: none."""
    snapshot_after_s: float = 1.0
    """A span open for longer is told by snapshots, at growing intervals."""
    snapshot_longest_s: float = 300.0
    stall_after_s: float = 0.1
    """A loop that has not turned for longer is stalled."""
    hold_after_s: float = 0.1
    """A hold shorter than this is told only if somebody waited for the resource meanwhile."""
    inflight_limit: int = 50_000
    """Open spans kept at most; more are counted, not kept."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Read `WHY504_*`.

        Raises:
            ConfigError: a value is not of the field's type.
        """
        values: dict[str, str | int | float] = {}
        if "OTEL_EXPORTER_OTLP_ENDPOINT" in env:
            values["endpoint"] = env["OTEL_EXPORTER_OTLP_ENDPOINT"]
        for setting in fields(cls):
            name = f"WHY504_{setting.name.upper()}"
            if name in env:
                values[setting.name] = _parse(name, env[name], setting.type)
        return cls(**values)  # type: ignore[arg-type]


def _parse(name: str, text: str, kind: object) -> str | int | float:
    if kind in ("str", str):
        return text
    number = int if kind in ("int", int) else float
    try:
        return number(text)
    except ValueError:
        raise ConfigError(f"{name}={text!r} is not a number") from None
