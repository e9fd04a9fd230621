"""A probe whose records and spans are kept, on an application that serves nothing itself."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy.engine import Engine

import why504
from why504 import names
from why504.config import ProbeSettings
from why504.probe.pools import found
from why504.probe.setup import Probe
from why504.testing import CollectedRecords


@dataclass
class Told:
    """What a probe told: records, and spans as OpenTelemetry's SDK has them."""

    probe: Probe
    records: CollectedRecords
    memory: InMemorySpanExporter
    provider: TracerProvider

    def finals(self, kind: str, resource: str = "") -> list:
        known = [r for r in self.records.of_kind(kind) if names.SNAPSHOT_OF not in r.attributes]
        return [r for r in known if str(r.attributes[names.RESOURCE]).startswith(resource)]

    def spans(self, *named: str) -> list[Any]:
        """Spans that ended, in the order of their starts; of these names, if any are given."""
        known = sorted(self.memory.get_finished_spans(), key=lambda span: span.start_time or 0)
        return [span for span in known if not named or span.name.startswith(named)]

    def queries(self) -> list[str]:
        """Texts of statements, without those by which SQLAlchemy asks who the server is."""
        texts = [span.attributes.get(names.DB_QUERY) for span in self.spans()]
        return [text for text in texts if text and "pg_catalog" not in text and "show " not in text]

    def request(self, name: str = "request"):
        """Work for a request while it is entered."""
        return self.provider.get_tracer("test").start_as_current_span(name)

    def pool(self, name: str):
        return next(pool for pool in self.probe.pools if pool.name == name)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no other engine in the process: those of other modules' fixtures may live on."""
    gc.collect()
    others = {id(one) for one in gc.get_objects() if type(one) is Engine}

    def objects() -> list[Any]:
        return [one for one in gc.get_objects() if id(one) not in others]

    monkeypatch.setattr(found, "gc", SimpleNamespace(get_objects=objects))


@pytest.fixture
def told() -> Iterator[Told]:
    from opentelemetry import trace

    memory, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    trace.set_tracer_provider(provider)
    settings = ProbeSettings(
        endpoint="http://127.0.0.1:9", metrics_port=-1, snapshot_after_s=30, hold_after_s=0.0
    )
    probe = why504.instrument(FastAPI(), settings=settings)
    kept = CollectedRecords()
    probe.sender.send = kept.send
    probe.start()
    yield Told(probe, kept, memory, provider)
    probe.shutdown()
    provider.shutdown()
