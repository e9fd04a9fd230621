"""Every limit and address of the service, read once from `SERVICE_*`.

The ladder of timeouts is here and nowhere else: an outer limit is longer than what it guards.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Self

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits in seconds, outermost first; None = no limit at all."""

    gateway_s: float | None = 60.0
    application_s: float | None = 55.0
    llm_s: float | None = 15.0
    statement_s: float | None = 10.0
    idle_in_transaction_s: float | None = 10.0
    lock_s: float | None = 5.0
    checkout_s: float | None = 5.0
    """Waiting for a connection of the pool; opening a new one takes at most as long again."""
    memory_s: float | None = 5.0
    broker_s: float | None = 3.0
    redis_s: float | None = 2.0
    health_s: float | None = 2.0
    """One check of the deep health."""

    def scaled(self, factor: float) -> Self:
        """Return the same ladder in a world that runs `1/factor` times as fast."""
        scaled = {name: s if s is None else s * factor for name, s in asdict(self).items()}
        return type(self)(**scaled)


class Settings(BaseSettings):
    """What differs between one deployment and another."""

    model_config = SettingsConfigDict(
        env_prefix="SERVICE_", env_nested_delimiter="__", frozen=True, populate_by_name=True
    )

    database_url: str = "postgresql://127.0.0.1:5432/context"
    pool_size: int = Field(default=15, ge=1)
    """Connections at most; there is no overflow, so that the database sees a fixed number."""
    timeouts: Timeouts = Timeouts()
    time_scale: float = Field(default=1.0, gt=0)
    """Multiplies every timeout: 0.1 plays an hour's outage in six minutes."""
    body_limit_bytes: int | None = Field(default=1_048_576, ge=0)
    """Larger bodies are refused: parsing one holds the event loop."""
    health_cache_s: float = Field(default=1.0, ge=0)
    """A health answer this young is given again, so that probes can't load the database."""
    groq_base_url: str = "https://api.groq.com"
    groq_model: str = "llama-3.3-70b-versatile"
    groq_api_key: SecretStr = Field(
        default=SecretStr("unset"),
        validation_alias=AliasChoices("SERVICE_GROQ_API_KEY", "GROQ_API_KEY"),
    )
    instrument: bool = True
    """Whether why504 watches this process."""

    @property
    def limits(self) -> Timeouts:
        """The ladder at this deployment's pace; what every adapter is given."""
        return self.timeouts.scaled(self.time_scale)
