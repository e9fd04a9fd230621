from __future__ import annotations

import socket

import httpx
import pytest
from prometheus_client import CollectorRegistry

from service.infrastructure.messaging.metrics import PublisherMetrics
from service.infrastructure.messaging.metrics_server import serve_metrics


def test_a_taken_port_leads_to_the_next_and_counters_are_born_at_zero(free_port):
    registry = CollectorRegistry()
    PublisherMetrics(registry)
    with socket.create_server(("127.0.0.1", free_port)), serve_metrics(registry, free_port) as port:
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text

    assert port > free_port
    assert 'messaging_client_sent_messages_total{outcome="unconfirmed"} 0.0' in text
    assert "messaging_publisher_connected NaN" in text
    assert "process_start_time_seconds" in text
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False)


def test_minus_one_serves_nothing():
    with serve_metrics(CollectorRegistry(), -1) as port:
        assert port is None
