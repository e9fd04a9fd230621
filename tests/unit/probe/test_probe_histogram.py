"""Our histogram says to Prometheus what `prometheus_client`'s own says, byte for byte."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client import Histogram as Theirs
from prometheus_client.exposition import generate_latest as as_text
from prometheus_client.openmetrics.exposition import generate_latest as as_openmetrics

from why504.probe.exposed.histogram import Histogram

BOUNDS = (0.005, 0.01, 1, 30)
SEEN = [("/a", 0.001), ("/a", 0.005), ("/b", 0.0051), ("/a", 0.02), ("/a", 50.0), ("/b", 30.0)]


def without_times(page: bytes) -> bytes:
    return re.sub(rb"(_created\S* |# \{.*?\} \S+ )\S+", rb"\1T", page)


@pytest.mark.parametrize("page", [as_text, as_openmetrics])
def test_a_page_reads_the_same(page: Callable[[CollectorRegistry], bytes]):
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    mine = Histogram("x_seconds", "How long.", ("route",), BOUNDS)
    ours.register(mine)
    other = Theirs("x_seconds", "How long.", ("route",), buckets=BOUNDS, registry=theirs)
    for number, (route, seconds) in enumerate(SEEN, 1):
        mine.labels(route).observe(seconds, number)
        other.labels(route).observe(seconds, {"trace_id": f"{number:032x}"})
    mine.labels("/quiet")
    other.labels("/quiet")

    assert without_times(page(ours)) == without_times(page(theirs))
    if page is as_openmetrics:
        assert b'trace_id="00000000000000000000000000000005"' in page(ours)


def test_nothing_is_lost_between_threads():
    series = Histogram("x_seconds", "How long.", (), BOUNDS).labels()
    threads = [
        threading.Thread(target=lambda: [series.observe(0.5) for _ in range(5_000)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    counts, total, _ = series.read()
    assert (counts[-1], total) == (40_000, 20_000.0)
