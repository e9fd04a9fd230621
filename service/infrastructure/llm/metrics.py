"""What LLM calls cost and how they fail, as Prometheus metrics.

Names and buckets: OpenTelemetry's GenAI metrics (`gen_ai.client.*`); what they lack is `llm_*`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from opentelemetry import trace
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from service.infrastructure.llm.completion import Usage

PROVIDER: Final = "groq"
DURATION_BUCKETS_S: Final = tuple(0.01 * 2**n for n in range(14))
TOKEN_BUCKETS: Final = tuple(4.0**n for n in range(14))
"""Both as the conventions advise."""


class LlmMetrics:
    """The metrics of one model of one provider, in the registry of its process."""

    def __init__(
        self, registry: CollectorRegistry, *, model: str, questions: Iterable[str]
    ) -> None:
        self._operation = ("chat", PROVIDER, model)
        names = ["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model"]
        self._duration = Histogram(
            "gen_ai_client_operation_duration_seconds",
            "LLM calls with all their attempts and pauses; error_type is empty where one answered.",
            [*names, "error_type"],
            buckets=DURATION_BUCKETS_S,
            registry=registry,
        )
        self._duration.labels(*self._operation, "")
        self._tokens = Histogram(
            "gen_ai_client_token_usage",
            "Tokens of an LLM call.",
            [*names, "gen_ai_token_type"],
            buckets=TOKEN_BUCKETS,
            registry=registry,
        )
        self._input = self._tokens.labels(*self._operation, "input")
        self._output = self._tokens.labels(*self._operation, "output")
        self._fallbacks = Counter(
            "llm_fallbacks", "LLM calls answered by the fallback.", ["question"], registry=registry
        )
        for question in questions:
            self._fallbacks.labels(question)
        self._count_attempts(registry)

    def _count_attempts(self, registry: CollectorRegistry) -> None:
        self._limited = Counter(
            "llm_rate_limited", "Attempts that were answered by 429.", registry=registry
        )
        self._retries = Counter("llm_retries", "Attempts after the first.", registry=registry)
        self._in_flight = Gauge("llm_in_flight", "LLM attempts under way.", registry=registry)
        self._waiting = Gauge(
            "llm_bulkhead_waiting", "LLM attempts that wait for a free place.", registry=registry
        )

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count an attempt that waits for its place."""
        with self._waiting.track_inprogress():
            yield

    @contextmanager
    def in_flight(self) -> Iterator[None]:
        """Count an attempt that is under way."""
        with self._in_flight.track_inprogress():
            yield

    def rate_limited(self) -> None:
        """Count an answer of 429."""
        self._limited.inc()

    def retried(self) -> None:
        """Count an attempt after the first."""
        self._retries.inc()

    def used(self, usage: Usage) -> None:
        """Count what an answer cost."""
        self._input.observe(usage.prompt_tokens)
        self._output.observe(usage.completion_tokens)

    def ended(self, *, duration_s: float, error_type: str) -> None:
        """Count a call; `error_type` is empty unless its fallback was used or it was cancelled."""
        context = trace.get_current_span().get_span_context()
        exemplar = (
            {"trace_id": trace.format_trace_id(context.trace_id)} if context.is_valid else None
        )
        self._duration.labels(*self._operation, error_type).observe(duration_s, exemplar)

    def fell_back(self, question: str) -> None:
        """Count a fallback."""
        self._fallbacks.labels(question).inc()
