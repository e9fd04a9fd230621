from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

from lab.stack.groq import Groq
from lab.stack.langfuse import Langfuse
from lab.stack.mem0 import Mem0
from service.application.settings import Settings
from service.infrastructure.llm.emotion_reader import GroqEmotionReader

sys.path.append(str(Path(__file__).parent))

Reading = Callable[..., AbstractAsyncContextManager[tuple[GroqEmotionReader, CollectorRegistry]]]


@pytest.fixture(scope="session")
def groq_server(tmp_path_factory) -> Iterator[Groq]:
    with Groq.start(tmp_path_factory.mktemp("groq")) as running:
        yield running


@pytest.fixture
def groq_standin(groq_server) -> Iterator[Groq]:
    yield groq_server
    groq_server.behave(
        **{"delay_s": 0, "hang": False, "status": None, "limited": False, "retry_after_s": 2},
        **{"retry_after": None, "fail_share": 1, "echo": False, "content": None},
    )


@pytest.fixture(scope="session")
def langfuse_standin(tmp_path_factory) -> Iterator[Langfuse]:
    with Langfuse.start(tmp_path_factory.mktemp("langfuse")) as running:
        yield running


@pytest.fixture
def mem0_standin(tmp_path) -> Iterator[Mem0]:
    with Mem0.start(tmp_path) as running:
        yield running


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    return exporter


@pytest.fixture
def reading() -> Reading:
    """Make a reader where time runs a hundred times as fast: `async with reading(url) as …`.

    Only its limits of a call and of a reading don't, 10 s unless a test is about them: real servers
    answer when a busy machine lets them.
    """

    @asynccontextmanager
    async def make(
        url: str, *, budget_s: float = 10.0, **settings: Any
    ) -> AsyncIterator[tuple[GroqEmotionReader, CollectorRegistry]]:
        registry = CollectorRegistry()
        given = {
            "groq_base_url": url,
            "time_scale": 0.01,
            "timeouts": {"llm_s": 1000},
            **settings,
        }
        reader = GroqEmotionReader(Settings(**given), registry, budget_s=budget_s)
        try:
            yield reader, registry
        finally:
            await reader.aclose()

    return make
