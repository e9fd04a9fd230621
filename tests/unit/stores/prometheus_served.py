"""Prometheus without a network: series by metric, or recorded answers of the real server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.unit.stores.tempo_served import Clock
from why504.stores.access import PrometheusSettings
from why504.stores.prometheus.client import Client
from why504.stores.prometheus.store import Prometheus

RECORDED = Path(__file__).parents[3].parent / "shared" / "data" / "recorded" / "prometheus"
ADDRESS = "http://prometheus.example:9090"
needs_recordings = pytest.mark.skipif(
    not RECORDED.is_dir(), reason="recordings of the real Prometheus lie beside the repository"
)
GATEWAY = "why504_gateway_request_duration_seconds_count"
Samples = Iterable[tuple[float, float | str]]


class Served:
    """Answers with the series of the first metric that a query names; of an unknown one none."""

    def __init__(self) -> None:
        self.series: list[tuple[str, dict[str, str], list[tuple[float, float | str]]]] = []
        self.asked: list[dict[str, str]] = []
        self.warnings: list[str] = []

    def add(self, metric: str, samples: Samples, **labels: str) -> None:
        """Keep a series: Unix seconds and values."""
        told = {"service_name": "api", "job": "service", "instance": "10.0.0.1:9464", **labels}
        self.series.append((metric, told, list(samples)))

    def __call__(self, request: httpx.Request) -> httpx.Response:
        parts = urlsplit(str(request.url))
        told = {key: value[0] for key, value in parse_qs(parts.query).items()}
        self.asked.append({"path": parts.path, **told})
        metric = re.findall(r"([a-z_0-9]+)\{", told["query"])[0]
        mine = [(labels, samples) for name, labels, samples in self.series if name == metric]
        if parts.path.endswith("query_range") or "last_over_time" not in told["query"]:
            found = [
                {"metric": labels, "values": [[at, str(value)] for at, value in samples]}
                for labels, samples in mine
            ]
            return self._answer("matrix", found)
        found = [
            {"metric": labels, "value": [float(told["time"]), str(samples[-1][1])]}
            for labels, samples in mine
        ]
        return self._answer("vector", found)

    def _answer(self, kind: str, found: list[dict[str, Any]]) -> httpx.Response:
        body: dict[str, Any] = {"status": "success", "data": {"resultType": kind, "result": found}}
        if self.warnings:
            body["warnings"] = self.warnings
        return httpx.Response(200, json=body)


def metrics_on(
    handler: Any, *, now_s: float, clock: Clock | None = None, **settings: Any
) -> Prometheus:
    """Return metrics whose requests a function answers."""
    told, ticking = PrometheusSettings(**settings), clock or Clock()
    client = Client(
        ADDRESS, told, transport=httpx.MockTransport(handler), clock=ticking, sleep=ticking.sleep
    )
    return Prometheus(client, told, now_ns=lambda: round(now_s * 1e9))


def recorded(name: str) -> bytes:
    """Return a recorded answer."""
    return (RECORDED / name).read_bytes()


def exchanges() -> list[dict[str, Any]]:
    """Return the recorded exchanges, in order; none where there are no recordings."""
    if not RECORDED.is_dir():
        return []
    return [json.loads(line) for line in (RECORDED / "exchanges.jsonl").read_text().splitlines()]
