from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from gateway_lines import line
from prometheus_client import CollectorRegistry

from why504.watch import gateway
from why504.watch.accesslog import GatewayLine, parse_line
from why504.watch.gateway import GatewayWatch
from why504.watch.gateway_metrics import GatewayMetrics

REQUESTS = "why504_gateway_request_duration_seconds"
LATE = "why504_gateway_late_lines_total"


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def read(number: int = 1, **changed: object) -> GatewayLine:
    parsed = parse_line(line(number, **changed))
    assert parsed
    return parsed


def count(registry: CollectorRegistry, status: str) -> float | None:
    return registry.get_sample_value(f"{REQUESTS}_count", {"status": status})


def test_a_504_is_counted_under_its_status_with_its_length_and_trace(registry):
    one = read()
    GatewayMetrics(registry).seen([one], one.end_ns / 1e9)

    assert count(registry, "504") == 1
    assert registry.get_sample_value(f"{REQUESTS}_sum", {"status": "504"}) == pytest.approx(2.001)
    exemplars = [
        sample.exemplar.labels
        for family in registry.collect()
        for sample in family.samples
        if sample.exemplar
    ]
    assert exemplars == [{"trace_id": one.trace_id}]


def test_every_status_that_alerts_look_at_is_there_at_0(registry):
    GatewayMetrics(registry)

    assert [count(registry, str(s)) for s in (200, 499, 500, 502, 503, 504)] == [0] * 6
    assert registry.get_sample_value(LATE) == 0


def test_what_is_read_a_minute_late_raises_no_alert(registry):
    one = read()
    GatewayMetrics(registry).seen([one], one.end_ns / 1e9 + 60)

    assert (count(registry, "504"), registry.get_sample_value(LATE)) == (0, 1)


def test_a_clock_that_is_behind_the_gateways_hides_nothing(registry):
    one = read()
    GatewayMetrics(registry).seen([one], one.end_ns / 1e9 - 3600)

    assert count(registry, "504") == 1


def test_a_status_that_is_none_makes_no_series_of_its_own(registry):
    metrics = GatewayMetrics(registry)
    for status in ("0", "7", "999"):
        metrics.seen([read(status=status)], time.time() - 10**9)

    assert count(registry, "none") == 3


def test_a_line_is_counted_once_however_often_its_span_is_refused(registry, tmp_path, monkeypatch):
    refusals = iter([False, False, True])
    monkeypatch.setattr(gateway, "otlp_export", lambda endpoint: lambda spans: next(refusals, True))
    monkeypatch.setattr(gateway, "POLL_S", 0.001)
    log = tmp_path / "access.jsonl"
    now = time.time()
    log.write_bytes(line(1, ts=f"{now:.3f}") + b"\n" + line(2, ts=f"{now:.3f}") + b"\n")

    followed(log, registry)

    assert count(registry, "504") == 2


def test_the_504s_count_while_nobody_takes_their_spans(registry, tmp_path, monkeypatch):
    monkeypatch.setattr(gateway, "otlp_export", lambda endpoint: lambda spans: False)
    log = tmp_path / "access.jsonl"
    log.write_bytes(line(1, ts=f"{time.time():.3f}") + b"\n")

    followed(log, registry)

    assert count(registry, "504") == 1


def followed(log: Path, registry: CollectorRegistry) -> None:
    watch = GatewayWatch(log, "http://unused", log.with_name("state"),
                         metrics=GatewayMetrics(registry))  # fmt: skip
    stop = threading.Event()
    thread = threading.Thread(target=watch.run, args=(stop,))
    thread.start()
    time.sleep(0.3)
    stop.set()
    thread.join(timeout=10)
