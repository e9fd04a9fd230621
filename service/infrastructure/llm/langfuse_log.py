"""Where the words of LLM calls go: to Langfuse, redacted, and nowhere else.

The SDK gets a TracerProvider of its own. What is written on its spans can leave only through the
exporter below, whatever the service's own provider exports to; the trace id is shared because the
parent is taken from the context. Without a provider the SDK would make itself the global one
(langfuse 5.0.4, _client/resource_manager.py).
"""

from __future__ import annotations

import asyncio
import base64
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from service.application.settings import Settings
from service.infrastructure.llm.completion import Usage
from service.infrastructure.llm.questions import Prompt
from service.infrastructure.llm.redaction import redact

if TYPE_CHECKING:
    from langfuse import Langfuse, LangfuseGeneration
    from opentelemetry.sdk.trace.export import SpanExporter

EXPORT_LIMIT_S: Final = 5
"""One request to Langfuse, its retries included."""
FALLBACK_SCORE: Final = "fallback"
"""Score of each call: 1 = something was assumed instead of an answer; its mean is their share."""
GOODBYE_S: Final = 2.0
"""How long shutting down may wait for the last calls to be sent, and again for the SDK to end."""


@dataclass(slots=True)
class CallRecord:
    """What became of one LLM call; filled in while it runs."""

    output: str | None = None
    usage: Usage = field(default_factory=Usage)
    attempts: int = 0
    rate_limited: int = 0
    error_type: str = ""
    fallback: str | int | None = None
    """What was assumed instead of an answer; None if the model answered."""


class LlmLog(Protocol):
    """Keeps LLM calls with their words."""

    def begin(
        self, name: str, *, model: str, parameters: Mapping[str, float], prompt: Prompt
    ) -> Callable[[CallRecord], None]:
        """Begin a call inside the current span; call what is returned when it ended, once."""

    async def aclose(self) -> None:
        """Send what waits, for a few seconds at most."""


class NoLlmLog:
    """Keeps nothing: Langfuse is not configured."""

    def begin(
        self, name: str, *, model: str, parameters: Mapping[str, float], prompt: Prompt
    ) -> Callable[[CallRecord], None]:
        """Begin nothing."""
        return lambda _: None

    async def aclose(self) -> None:
        """Send nothing."""


class LangfuseLog:
    """One generation a call. Its spans wait in a bounded queue of the SDK, sent by its thread."""

    def __init__(self, client: Langfuse, exporter: SpanExporter, request_url: str = "") -> None:
        """Take the SDK, how its spans leave, and where people see a request, with `{trace}`."""
        self._client = client
        self._exporter = exporter
        self._request_url = request_url

    def begin(
        self, name: str, *, model: str, parameters: Mapping[str, float], prompt: Prompt
    ) -> Callable[[CallRecord], None]:
        """Begin a generation, child of the current span and never the current span itself."""
        generation = self._client.start_observation(
            name=name,
            as_type="generation",
            model=model,
            model_parameters=dict(parameters),
            input=[
                {"role": "system", "content": prompt.instruction},
                {"role": "user", "content": redact(prompt.spoken)},
            ],
        )
        seen_at = self._request_url.replace("{trace}", generation.trace_id)
        return lambda record: _end(generation, record, seen_at)

    async def aclose(self) -> None:
        """Send what waits; a Langfuse that does not answer is left after a few seconds."""
        await _in_daemon(self._client.flush, limit_s=GOODBYE_S)
        # From here on exports fail at once, and with them the SDK's own unbounded goodbye.
        self._exporter.shutdown()
        await _in_daemon(self._client.shutdown, limit_s=GOODBYE_S)


def _end(generation: LangfuseGeneration, record: CallRecord, seen_at: str) -> None:
    metadata: dict[str, str | int] = {
        "attempts": record.attempts,
        "rate_limited": record.rate_limited,
    }
    if record.fallback is not None:
        metadata["fallback"] = record.fallback
    if seen_at:
        metadata["why504"] = seen_at
    generation.update(
        output=None if record.output is None else redact(record.output),
        usage_details={
            "input": record.usage.prompt_tokens,
            "output": record.usage.completion_tokens,
        },
        level="ERROR" if record.error_type else "DEFAULT",
        status_message=record.error_type or None,
        metadata=metadata,
    )
    generation.score(
        name=FALLBACK_SCORE,
        value=float(record.fallback is not None),
        data_type="BOOLEAN",
        comment=record.error_type or None,
    )
    generation.end()


async def _in_daemon(work: Callable[[], None], *, limit_s: float) -> None:
    """Run it in a thread that can't keep the process alive, and wait for a while only."""
    thread = threading.Thread(target=work, name="langfuse-goodbye", daemon=True)
    thread.start()
    await asyncio.to_thread(thread.join, limit_s)


def make_llm_log(settings: Settings) -> LlmLog:
    """Return the log; nothing of Langfuse is imported unless both its keys are set."""
    if settings.langfuse_public_key is None or settings.langfuse_secret_key is None:
        return NoLlmLog()
    from langfuse import Langfuse
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    credentials = (settings.langfuse_public_key, settings.langfuse_secret_key.get_secret_value())
    exporter = OTLPSpanExporter(
        endpoint=f"{settings.langfuse_base_url.rstrip('/')}/api/public/otel/v1/traces",
        headers=_headers(*credentials),
        timeout=EXPORT_LIMIT_S,
        compression=Compression.Gzip,
    )
    client = Langfuse(
        public_key=credentials[0],
        secret_key=credentials[1],
        base_url=settings.langfuse_base_url,
        tracer_provider=TracerProvider(
            resource=Resource({"service.name": "context-handling"}),
            sampler=ALWAYS_ON,
            shutdown_on_exit=False,
        ),
        span_exporter=exporter,
        timeout=EXPORT_LIMIT_S,
    )
    # At DEBUG it prints whole spans, prompts included; LANGFUSE_DEBUG would switch that on.
    logging.getLogger("langfuse").setLevel(logging.WARNING)
    return LangfuseLog(client, exporter, settings.request_url)


def _headers(public_key: str, secret_key: str) -> dict[str, str]:
    """Return what the SDK's own exporter sends (langfuse 5.0.4, _client/span_processor.py)."""
    basic = base64.b64encode(f"{public_key}:{secret_key}".encode()).decode()
    return {
        "Authorization": f"Basic {basic}",
        "x-langfuse-public-key": public_key,
        "x-langfuse-ingestion-version": "4",
    }
