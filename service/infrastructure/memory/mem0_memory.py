"""Mem0 remembers users between sessions; while it is away, nobody is remembered and nobody waits.

Every call is bounded, watched by a breaker of its own, counted, and a span without a word of what
was said. What is kept there is redacted first: a friend needs no card numbers.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode
from prometheus_client import CollectorRegistry, Counter, Histogram

from service.application.ports.memory import Memory
from service.application.settings import Settings
from service.domain.conversation import Message, Speaker
from service.infrastructure.breaker import Breaker
from service.infrastructure.breaker_metrics import BreakerMetrics
from service.infrastructure.llm.redaction import redact
from service.infrastructure.memory.mem0_client import make_client

if TYPE_CHECKING:
    from mem0 import AsyncMemoryClient  # type: ignore[import-untyped]

WHAT_MATTERS: Final = "what matters to this user"
MOST_RECALLED: Final = 5
LONGEST_KEPT: Final = 24_000
"""Characters of the end of a session that are kept."""
ROLES: Final = {Speaker.USER: "user", Speaker.COMPANION: "assistant"}
OPERATIONS: Final = ("search", "add")

Result = TypeVar("Result")


class NoMemory:
    """Remembers nothing: Mem0 is not configured."""

    async def recall(self, user_id: str) -> Sequence[str]:
        """Return nothing."""
        return ()

    async def remember(self, user_id: str, transcript: Sequence[Message]) -> None:
        """Keep nothing."""

    async def aclose(self) -> None:
        """Give back nothing."""


class Mem0Memory:
    """Asks Mem0 through the official SDK, whose client is made on first use, in a thread."""

    def __init__(self, settings: Settings, registry: CollectorRegistry, *, api_key: str) -> None:
        self._make: Callable[[], AsyncMemoryClient] = lambda: make_client(settings, api_key)
        self._made: Future[AsyncMemoryClient] | None = None
        self._limit_s = settings.limits.memory_s
        self._server = _server(settings.mem0_base_url)
        self._tracer = trace.get_tracer("service.memory")
        self._duration = Histogram(
            "memory_client_operation_duration_seconds",
            "Calls of the memory API; error_type is empty where one was answered.",
            ["operation", "error_type"],
            registry=registry,
        )
        self._failures = Counter(
            "memory_failures",
            "Calls of the memory API that failed.",
            ["operation"],
            registry=registry,
        )
        for operation in OPERATIONS:
            self._duration.labels(operation, "")
            self._failures.labels(operation)
        self._breaker = Breaker(
            failures=settings.breaker_failures,
            open_s=settings.breaker_open_s * settings.time_scale,
            on_change=BreakerMetrics(registry, prefix="memory", provider="mem0").changed,
        )

    async def recall(self, user_id: str) -> Sequence[str]:
        """Return a few sentences about the user, none if there are none or Mem0 does not answer."""

        async def search(client: AsyncMemoryClient) -> tuple[str, ...]:
            found = await client.search(
                WHAT_MATTERS, filters={"user_id": user_id}, top_k=MOST_RECALLED
            )
            return tuple(str(each["memory"]) for each in found["results"])[:MOST_RECALLED]

        return await self._bounded("search", search) or ()

    async def remember(self, user_id: str, transcript: Sequence[Message]) -> None:
        """Keep the end of a session, redacted; whether it was kept is counted, not told."""
        messages = [
            {"role": ROLES[message.speaker], "content": redact(message.text)}
            for message in _end_of(transcript)
        ]

        async def add(client: AsyncMemoryClient) -> None:
            await client.add(messages, user_id=user_id)

        if messages:
            await self._bounded("add", add)

    async def aclose(self) -> None:
        """Give back connections; a client that is still being made is left to itself."""
        if self._made is not None and self._made.done() and self._made.exception() is None:
            await self._made.result().async_client.aclose()

    async def _bounded(
        self, operation: str, call: Callable[[AsyncMemoryClient], Awaitable[Result]]
    ) -> Result | None:
        """Return what the call gives, or None if it failed in whatever way."""
        started_s, error_type = time.perf_counter(), ""
        with self._tracer.start_as_current_span(
            f"mem0 {operation}",
            kind=SpanKind.CLIENT,
            attributes=self._server,
            # An exception's message may quote what was sent.
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                with self._breaker.call():
                    async with asyncio.timeout(self._limit_s):
                        return await call(await self._client())
            except BaseException as error:
                error_type = self._failed(span, operation, error)
                if not isinstance(error, Exception):
                    raise
                return None
            finally:
                duration = self._duration.labels(operation, error_type)
                duration.observe(time.perf_counter() - started_s)

    def _failed(self, span: Span, operation: str, error: BaseException) -> str:
        error_type = type(error).__name__
        span.set_attribute("error.type", error_type)
        span.set_status(StatusCode.ERROR)
        self._failures.labels(operation).inc()
        return error_type

    async def _client(self) -> AsyncMemoryClient:
        if self._made is None or (self._made.done() and self._made.exception() is not None):
            self._made = _in_daemon(self._make)
        # Shielded: who gives up must not take the client away from those who wait for it too.
        return await asyncio.shield(asyncio.wrap_future(self._made))


def make_memory(settings: Settings, registry: CollectorRegistry) -> Memory:
    """Return the memory; nothing of Mem0 is imported before its first call, or without a key."""
    if settings.mem0_api_key is None:
        return NoMemory()
    return Mem0Memory(settings, registry, api_key=settings.mem0_api_key.get_secret_value())


def _in_daemon(make: Callable[[], Any]) -> Future[Any]:
    """Run it in a thread that can't keep the process alive."""
    made: Future[Any] = Future()

    def run() -> None:
        try:
            made.set_result(make())
        except BaseException as error:
            made.set_exception(error)

    threading.Thread(target=run, name="mem0-client", daemon=True).start()
    return made


def _end_of(transcript: Sequence[Message]) -> list[Message]:
    """Return the last messages that fit into what is kept, in their order."""
    kept: list[Message] = []
    room = LONGEST_KEPT
    for message in reversed(transcript):
        room -= len(message.text)
        if room < 0:
            break
        kept.append(message)
    return kept[::-1]


def _server(url: str) -> dict[str, str | int]:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {"server.address": parts.hostname or "", "server.port": port}
