"""A `TempoStore` on the stand-in without a network, and what was recorded of the real Tempo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from lab.standins.tempoindex import Tempo
from why504.stores.access import TempoSettings
from why504.stores.tempo.client import Client
from why504.stores.tempo.store import TempoStore

RECORDED = Path(__file__).parents[3].parent / "shared" / "data" / "recorded" / "tempo"
ADDRESS = "http://tempo.example:3200"
needs_recordings = pytest.mark.skipif(
    not RECORDED.is_dir(), reason="recordings of the real Tempo lie beside the repository"
)


class Clock:
    """Time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.s += seconds


def store_on(
    handler: Any, *, now_ns: int, clock: Clock | None = None, **settings: Any
) -> TempoStore:
    """Return a store whose requests a function answers."""
    told, ticking = TempoSettings(**settings), clock or Clock()
    client = Client(
        ADDRESS, told, transport=httpx.MockTransport(handler), clock=ticking, sleep=ticking.sleep
    )
    return TempoStore(client, told, now_ns=lambda: now_ns)


def served(tempo: Tempo, *, now_ns: int, **settings: Any) -> TempoStore:
    """Return a store that asks a stand-in."""

    def answer(request: httpx.Request) -> httpx.Response:
        told = tempo.answer(request.url.raw_path.decode(), request.headers)
        headers = {"content-type": told.content_type, **told.headers}
        return httpx.Response(told.status, content=told.body, headers=headers)

    return store_on(answer, now_ns=now_ns, **settings)


def exchanges() -> list[dict[str, Any]]:
    """Return the recorded exchanges, in order."""
    return [json.loads(line) for line in (RECORDED / "exchanges.jsonl").read_text().splitlines()]


def body_of(exchange: dict[str, Any]) -> bytes:
    """Return the recorded answer."""
    return (RECORDED / exchange["file"]).read_bytes()
