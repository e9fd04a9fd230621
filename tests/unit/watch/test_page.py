"""What a watch tells of itself over HTTP."""

from __future__ import annotations

import socket

import httpx
import pytest
from gateway_lines import line
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from why504.errors import ConfigError
from why504.watch.accesslog import parse_line
from why504.watch.gateway_metrics import GatewayMetrics
from why504.watch.page import served


def test_exemplars_are_told_to_whoever_understands_them():
    registry = CollectorRegistry()
    one = parse_line(line(7))
    assert one
    GatewayMetrics(registry).seen([one], one.end_ns / 1e9)
    with served("127.0.0.1", 0, registry, lambda: (True, "ok")) as port:
        accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
        told = httpx.get(f"http://127.0.0.1:{port}/metrics", headers=accept).text

    found = [
        sample.exemplar.labels["trace_id"]
        for family in text_string_to_metric_families(told)
        for sample in family.samples
        if sample.exemplar
    ]
    assert found == [f"{7:032x}"]


def test_health_is_what_it_is_said_to_be_each_time():
    told = iter([(True, "ok"), (False, "the log: gone"), (True, "ok; again")])
    with served("127.0.0.1", 0, CollectorRegistry(), lambda: next(told)) as port:
        answers = [httpx.get(f"http://127.0.0.1:{port}/healthz") for _ in range(3)]

    assert [(a.status_code, a.text) for a in answers] == [
        (200, "ok\n"), (503, "the log: gone\n"), (200, "ok; again\n"),
    ]  # fmt: skip


def test_whoever_asks_for_something_else_is_told_what_there_is():
    with served("127.0.0.1", 0, CollectorRegistry(), lambda: (True, "ok")) as port:
        answer = httpx.get(f"http://127.0.0.1:{port}/v1/traces")

    assert answer.status_code == 404
    assert "/metrics or /healthz" in answer.text


def test_a_port_that_is_taken_is_said_to_be(free_port):
    with (
        socket.create_server(("127.0.0.1", free_port)),
        pytest.raises(ConfigError, match=f"127.0.0.1:{free_port}"),
        served("127.0.0.1", free_port, CollectorRegistry(), lambda: (True, "ok")),
    ):
        raise AssertionError("it was not")


def test_the_port_is_free_again_afterwards(free_port):
    for _ in range(2):
        with served("127.0.0.1", free_port, CollectorRegistry(), lambda: (True, "ok")) as port:
            assert port == free_port
            assert httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
