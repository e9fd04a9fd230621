from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from delivered import delivery_to
from gateway_lines import line
from prometheus_client import CollectorRegistry

from why504.watch import tail
from why504.watch.accesslog import GatewayLine, parse_line, written_s
from why504.watch.gateway import GatewayWatch, save_position
from why504.watch.gateway_metrics import GatewayCount, GatewayMetrics
from why504.watch.rotation import Position
from why504.watch.tail import Tail

REQUESTS = "why504_gateway_request_duration_seconds"
LATE = "why504_gateway_late_lines_total"


@pytest.fixture
def log(tmp_path) -> Path:
    return tmp_path / "access.jsonl"


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


def test_lines_are_counted_once_each_from_where_the_last_run_had_sent(registry, log):
    write(log, 1, 2)
    save_position(log.with_name("state"), position_after(log))
    write(log, 3, 4)

    with followed(log, registry):
        eventually(lambda: count(registry, "504") == 2)
        write(log, 5)
        eventually(lambda: count(registry, "504") == 3)


def test_the_504s_count_while_nobody_takes_their_spans(registry, log, free_port, monkeypatch):
    monkeypatch.setattr(tail, "READ_BYTES", 1000)  # one batch of the log is soon full
    watch = GatewayWatch(log, delivery_to(free_port).deliver, log.with_name("state"))
    stop = threading.Event()
    sending = threading.Thread(target=watch.run, args=(stop,))
    sending.start()
    write(log, 1, 2)
    with followed(log, registry):
        write(log, *range(3, 21))
        eventually(lambda: count(registry, "504") == 20)
    stop.set()
    sending.join()

    assert watch.counts.sent == 0


def write(log: Path, *numbers: int) -> None:
    now = f"{time.time():.3f}"
    with log.open("ab") as file:
        file.writelines(line(number, ts=now) + b"\n" for number in numbers)


def position_after(log: Path) -> Position:
    with closing(Tail(log, Position(), time_of=written_s)) as reading:
        return reading.read().position


@contextmanager
def followed(log: Path, registry: CollectorRegistry) -> Iterator[None]:
    """Count the lines of a log meanwhile."""
    counting = GatewayCount(log, log.with_name("state"), GatewayMetrics(registry))
    stop = threading.Event()
    thread = threading.Thread(target=counting.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=10)


def eventually(fact: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 10
    while not fact():
        assert time.monotonic() < deadline_s, "did not come true in time"
        time.sleep(0.02)
