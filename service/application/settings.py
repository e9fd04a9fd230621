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

    worker_analysis_s: float | None = 180.0
    """Like `analysis_s`, where no gateway waits: in the worker and in the nightly job."""
    gateway_s: float | None = 60.0
    application_s: float | None = 55.0
    analysis_s: float | None = 40.0
    """All that is asked about one session inside a request: attempts, pauses and memory."""
    llm_s: float | None = 15.0
    """One attempt of one LLM call."""
    statement_s: float | None = 10.0
    idle_in_transaction_s: float | None = 10.0
    lock_s: float | None = 5.0
    checkout_s: float | None = 5.0
    """Waiting for a connection of the pool; opening a new one takes at most as long again."""
    memory_s: float | None = 5.0
    broker_s: float | None = 3.0
    """Connecting, one publish with its confirm, and how long a blocked connection is kept."""
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
        env_prefix="SERVICE_",
        env_nested_delimiter="__",
        # A key that nobody filled in is none.
        env_ignore_empty=True,
        frozen=True,
        populate_by_name=True,
    )

    database_url: str = "postgresql://127.0.0.1:5432/context"
    pool_size: int = Field(default=15, ge=1)
    """Connections at most; there is no overflow, so that the database sees a fixed number."""
    timeouts: Timeouts = Timeouts()
    time_scale: float = Field(default=1.0, gt=0)
    """Multiplies every timeout: 0.1 plays an hour's outage in six minutes."""
    body_limit_bytes: int | None = Field(default=1_048_576, ge=0)
    """Larger bodies are refused: parsing one holds the event loop."""
    health_every_s: float = Field(default=5.0, gt=0)
    """How often the deep health looks; requests are given what it saw last."""
    cors_origins: tuple[str, ...] = ()
    """Origins of web pages that may call the service, `https://app.example.org`; none = none."""
    rate_limit: str = "100/second"
    """Requests that one client may make, as `limits` writes it: `100/second`, `6000/minute`."""
    redis_url: str | None = None
    """Where instances share their rate limits; without it each process counts for itself."""

    broker_url: SecretStr | None = None
    """RabbitMQ, `amqp://…`; without it the worker takes messages straight from the outbox."""
    queue: str = "conversation.ended"
    relay_batch: int = Field(default=200, ge=1, le=10_000)
    """Messages that are published before the relay waits for their confirms."""
    worker_concurrency: int = Field(default=8, ge=1)
    """Conversations analysed at once by one worker; the queue's prefetch too."""
    worker_pool_size: int = Field(default=4, ge=1)
    """The worker's own connections: it can't take those of requests."""
    worker_shutdown_s: float = Field(default=25.0, ge=0)
    """How long a worker that is told to end may finish what it has begun."""
    delivery_limit: int = Field(default=20, ge=1)
    """Deliveries of one message before it is set aside as a dead letter."""
    nightly_concurrency: int = Field(default=4, ge=1)
    nightly_pool_size: int = Field(default=2, ge=1)
    """The nightly job's own connections."""
    nightly_users_per_s: float = Field(default=50.0, gt=0)
    nightly_most_users: int = Field(default=10_000, ge=1)

    groq_base_url: str = "https://api.groq.com"
    groq_model: str = "llama-3.3-70b-versatile"
    groq_api_key: SecretStr = Field(
        default=SecretStr("unset"),
        validation_alias=AliasChoices("SERVICE_GROQ_API_KEY", "GROQ_API_KEY"),
    )
    llm_concurrency: int = Field(default=64, ge=1)
    """LLM calls under way at once in one process; further ones wait inside their budget."""
    llm_attempts: int = Field(default=4, ge=1)
    """Attempts of one LLM call: pauses of 2, 4 and 8 s lie between four."""
    breaker_failures: int = Field(default=5, ge=1)
    breaker_open_s: float = Field(default=60.0, gt=0)
    """How long a provider that failed so often in a row is left alone; scaled by `time_scale`."""
    mem0_base_url: str = "https://api.mem0.ai"
    mem0_api_key: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("SERVICE_MEM0_API_KEY", "MEM0_API_KEY")
    )
    """Without it the companion has no memory beyond a session."""
    langfuse_base_url: str = Field(
        default="https://cloud.langfuse.com",
        validation_alias=AliasChoices("SERVICE_LANGFUSE_BASE_URL", "LANGFUSE_BASE_URL"),
    )
    langfuse_public_key: str | None = Field(
        default=None,
        validation_alias=AliasChoices("SERVICE_LANGFUSE_PUBLIC_KEY", "LANGFUSE_PUBLIC_KEY"),
    )
    langfuse_secret_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("SERVICE_LANGFUSE_SECRET_KEY", "LANGFUSE_SECRET_KEY"),
    )
    """With both keys LLM calls go to Langfuse, redacted, and their words nowhere else."""
    request_url: str = ""
    """Where people see a request, `https://why504.example.org/request?trace={trace}`: each LLM call
    in Langfuse leads there. The explorer leads back with WHY504_LANGFUSE_URL."""
    instrument: bool = True
    """Whether why504 watches this process."""
    metrics_port: int = Field(default=9470, ge=-1)
    """Port of /metrics of the processes that serve no HTTP; -1 = none, 0 = any free one."""

    @property
    def limits(self) -> Timeouts:
        """The ladder at this deployment's pace; what every adapter is given."""
        return self.timeouts.scaled(self.time_scale)
