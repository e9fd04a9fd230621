"""A real Prometheus, filled with an hour in which a service hung: what is read out of it."""

import shutil
import subprocess
import time

import pytest

from lab.stack.prometheus import Prometheus as Server
from why504 import measured as kinds
from why504.diagnose.counted import counted
from why504.diagnose.gauges import standings
from why504.model import Window
from why504.stores.access import PrometheusSettings
from why504.stores.prometheus.client import Client
from why504.stores.prometheus.store import Prometheus

pytestmark = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")), reason="Prometheus and promtool"
)
EVERY_S = 10
LENGTH_S = 3600
HANG_S = range(1800, 2400)
"""Seconds since the beginning in which everything waits."""
RESTART_S = 2000
"""The receiver is restarted: its counter begins anew at 0."""
GAP_S = range(2100, 2160)
"""Nothing could be scraped."""


def samples(name, value, **labels):
    """Yield lines of OpenMetrics: a metric every ten seconds."""
    told = {"service_name": "shop", "job": "service", "instance": "10.0.0.1:9464", **labels}
    text = ",".join(f'{key}="{told[key]}"' for key in sorted(told))
    for second in range(0, LENGTH_S + 1, EVERY_S):
        if second not in GAP_S:
            yield f"{name}{{{text}}} {value(second)} {BEGAN_S + second}"


def timed_out(second):
    """504s so far: two a second while it hangs."""
    since = RESTART_S if second >= RESTART_S else 0
    return 2 * (min(max(second, HANG_S.start), HANG_S.stop) - max(since, HANG_S.start))


def hangs(second, then, usually=0):
    return then if second in HANG_S else usually


BEGAN_S = int(time.time()) // 60 * 60 - LENGTH_S - 60
METRICS = (
    ("why504_gateway_request_duration_seconds_count", timed_out, {"status": "504"}),
    ("why504_gateway_request_duration_seconds_count", lambda s: s, {"status": "200"}),
    ("http_server_active_requests", lambda s: hangs(s, 60, 3), {"route": "/a"}),
    ("http_server_active_requests", lambda s: hangs(s, 37, 2), {"route": "/b"}),
    ("why504_inflight_oldest_age_seconds", lambda s: hangs(s, s - HANG_S.start, 0.2), {}),
    ("why504_eventloop_stall_age_seconds", lambda s: 0, {}),
    ("db_client_connection_count", lambda s: hangs(s, 15, 1), {"pool": "main", "state": "used"}),
    ("db_client_connection_count", lambda s: hangs(s, 0, 14), {"pool": "main", "state": "idle"}),
    ("db_client_connection_max", lambda s: 15, {"pool": "main"}),
    ("db_client_connection_pending_requests", lambda s: hangs(s, 82), {"pool": "main"}),
    ("process_cpu_seconds_total", lambda s: s * 0.25, {}),
    ("process_resident_memory_bytes", lambda s: 3e8, {}),
    ("process_start_time_seconds", lambda s: BEGAN_S - 100 if s < 2400 else BEGAN_S + 2390, {}),
    ("process_cpu_seconds_total", lambda s: s, {"instance": "node:9100", "job": "node"}),
    ("rabbitmq_queue_messages_ready", lambda s: hangs(s, 1200), {"queue": "orders", "vhost": "/"}),
)


@pytest.fixture(scope="module")
def metrics(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prometheus")
    names = dict.fromkeys(name for name, _, _ in METRICS)
    lines = [
        line for wanted in names for name, value, labels in METRICS if name == wanted
        for line in samples(name, value, **labels)
    ]  # fmt: skip
    told = folder / "told.openmetrics"
    told.write_text("\n".join([*lines, "# EOF", ""]))
    subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", told, folder / "data"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    with Server.start(folder, {}) as server:
        settings = PrometheusSettings(match='service_name="shop"')
        client = Client(server.url, settings)
        yield Prometheus(client, settings)
        client.close()


def window(start_s=0, end_s=LENGTH_S):
    return Window((BEGAN_S + start_s) * 10**9, (BEGAN_S + end_s) * 10**9)


def only(told, kind, **wanted):
    (track,) = [
        one for one in told.of(kind) if all(getattr(one, k) == v for k, v in wanted.items())
    ]
    return track


def at(track, second):
    """Return what was told at a second, to the step."""
    return min(
        zip(track.at_ns, track.values, strict=True),
        key=lambda told: abs(told[0] / 1e9 - BEGAN_S - second),
    )[1]


def test_every_504_is_counted_once_over_a_restart_and_a_gap(metrics):
    told = metrics.counted(window())

    assert told.problems == ()
    found = counted(told, window(HANG_S.start, HANG_S.stop))
    # What was counted between the last scrape before a restart and the restart nobody can know.
    assert 2 * len(HANG_S) - 2 * EVERY_S <= found.number <= 2 * len(HANG_S)
    assert (found.services, found.whole) == (["shop"], True)


def test_a_quiet_time_has_none(metrics):
    found = counted(metrics.counted(window(0, 1700)), window(0, 1700))

    assert (found.number, found.whole) == (0, True)


def test_all_gauges_are_understood_and_told_by_process(metrics):
    told = metrics.over(window(), metrics.counted(window()))

    assert told.problems == ()
    assert at(only(told, kinds.OPEN), 1000) == 5
    assert at(only(told, kinds.OPEN), 2050) == 97
    assert at(only(told, kinds.IN_USE, name="db.pool:main"), 2050) == 15
    assert at(only(told, kinds.WAITING), 2050) == 82
    assert at(only(told, kinds.OLDEST_S), 2050) == pytest.approx(250, abs=30)
    assert at(only(told, kinds.QUEUED), 2050) == 1200
    assert only(told, kinds.QUEUED).name == "orders of /"
    assert at(only(told, kinds.CORES), 1000) == pytest.approx(0.25, rel=0.1)
    assert only(told, kinds.STARTED_S).values[0] == BEGAN_S - 100
    assert only(told, kinds.STARTED_S).values[-1] == BEGAN_S + 2390


def test_no_exporter_of_somebody_else_counts_as_a_process_of_the_service(metrics):
    told = metrics.over(window(), metrics.counted(window()))

    assert {one.instance for one in told.of(kinds.CORES)} == {"10.0.0.1:9464"}


def test_a_week_is_asked_for_within_the_server_s_limits(metrics):
    week = Window((BEGAN_S - 6 * 86_400) * 10**9, (BEGAN_S + 86_400) * 10**9)

    told = metrics.over(week, metrics.counted(week))

    assert told.problems == ()
    assert counted(told, window(HANG_S.start, HANG_S.stop)).number > 1000


def test_this_moment_is_understood(metrics):
    told = metrics.now()

    assert told.problems == ()
    assert standings(told) == []
