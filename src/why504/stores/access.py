"""How servers that keep evidence are asked: who we are, whom we trust, how long we wait.

Read once from the environment; nothing is read at import.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import ClassVar, Final, Self

from why504.config import parsed, secret_of
from why504.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Access:
    """What any server may ask for. Every field can be set as `<PREFIX>_<FIELD>`."""

    PREFIX: ClassVar[str]
    """Of the variables: `WHY504_TEMPO`."""

    token: str = field(default="", repr=False)
    """Sent along as `Authorization: Bearer ...`; a secret."""
    token_file: str = ""
    """A file with the same in it; goes before."""
    user: str = ""
    """Who asks, for Basic authentication; nobody if empty."""
    password: str = field(default="", repr=False)
    password_file: str = ""
    tenant: str = ""
    """Sent along as `X-Scope-OrgID`, where several teams share one Tempo or Mimir."""
    ca_file: str = ""
    """Certificates that are trusted instead of the system's, PEM."""
    cert_file: str = ""
    """Our own certificate, PEM, where the server asks for one; its key may be in it."""
    key_file: str = ""
    timeout_s: float = 30.0
    """An answer that takes longer is not waited for."""
    parallel: int = 8
    """So many questions at once."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Read the variables.

        Raises:
            ConfigError: a value makes no sense.
        """
        values = {
            setting.name: parsed(name, env[name], setting.type)
            for setting in fields(cls)
            if (name := f"{cls.PREFIX}_{setting.name.upper()}") in env
        }
        settings = cls(**values)  # type: ignore[arg-type]
        if not 0 < settings.timeout_s < math.inf:
            raise ConfigError(f"{cls.PREFIX}_TIMEOUT_S must be more than 0")
        if not 1 <= settings.parallel <= _MOST_AT_ONCE:
            raise ConfigError(f"{cls.PREFIX}_PARALLEL must be 1 to {_MOST_AT_ONCE}")
        settings.check()
        return settings

    def check(self) -> None:
        """Raise ConfigError if a setting of this server makes no sense."""

    def bearer(self) -> str:
        """Return the token; empty if there is none. Raises ConfigError if its file has none."""
        return secret_of(f"{self.PREFIX}_TOKEN", self.token_file, self.token)

    def secret(self) -> str:
        """Return the password. Raises ConfigError if its file has none."""
        return secret_of(f"{self.PREFIX}_PASSWORD", self.password_file, self.password)


@dataclass(frozen=True, slots=True)
class TempoSettings(Access):
    """How Grafana Tempo is read."""

    PREFIX: ClassVar[str] = "WHY504_TEMPO"

    lookback: str = "24h"
    """How far back `all` reaches: 90m, 24h, 7d."""
    lag_s: float = 30.0
    """What is younger a search may not find yet: Tempo's `query_end_cutoff`."""
    traces: int = 150
    """So many traces are read whole for the incidents of a window, at least 24 for each."""

    def check(self) -> None:
        """Raise ConfigError if a setting makes no sense."""
        if not _LENGTH.fullmatch(self.lookback):
            raise ConfigError("WHY504_TEMPO_LOOKBACK must be a length of time: 90m, 24h or 7d")
        if not 0 <= self.lag_s <= _LONGEST_LAG_S:
            raise ConfigError(f"WHY504_TEMPO_LAG_S must be 0 to {_LONGEST_LAG_S}")
        if self.traces < _FEWEST_TRACES:
            raise ConfigError(f"WHY504_TEMPO_TRACES must be {_FEWEST_TRACES} or more")

    @property
    def lookback_s(self) -> int:
        """How far back `all` reaches, in seconds."""
        return int(self.lookback[:-1]) * {"m": 60, "h": 3600, "d": 86400}[self.lookback[-1]]


@dataclass(frozen=True, slots=True)
class PrometheusSettings(Access):
    """How Prometheus, or what speaks its API (Mimir, Thanos), is read."""

    PREFIX: ClassVar[str] = "WHY504_PROMETHEUS"

    timeout_s: float = 10.0
    match: str = ""
    """Labels that the metrics of this service have, where a server has those of others too:
    `service_name="shop"`; all metrics count if empty."""

    def check(self) -> None:
        """Raise ConfigError if a setting makes no sense."""
        if self.match and not _MATCHERS.fullmatch(self.match):
            raise ConfigError(
                'WHY504_PROMETHEUS_MATCH must be labels with values: service_name="shop", or '
                "several with commas between"
            )


_LENGTH: Final = re.compile(r"[1-9]\d{0,5}[mhd]")
_LONGEST_LAG_S: Final = 600
_FEWEST_TRACES: Final = 24
_MOST_AT_ONCE: Final = 64
_MATCHER: Final = r'[a-zA-Z_][a-zA-Z0-9_]*\s*(=|!=|=~|!~)\s*"(?:[^"\\\n]|\\.)*"'
_MATCHERS: Final = re.compile(rf"\s*{_MATCHER}(\s*,\s*{_MATCHER})*\s*")
