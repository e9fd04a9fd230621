"""otel/tempo.yaml: keys of Tempo 3, and each of its traps avoided."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from known_keys import unknown
from tempo_keys import KEYS

ROOT = Path(__file__).parents[2]
CONFIG = yaml.safe_load((ROOT / "otel" / "tempo.yaml").read_text())
COLLECTOR = yaml.safe_load((ROOT / "otel" / "collector.yaml").read_text())
RECORDED = ROOT.parent / "shared" / "data" / "recorded" / "tempo"
UNITS = {"s": 1, "m": 60, "h": 3600}


def at(path: str, config: Any = CONFIG) -> Any:
    for key in path.split("."):
        config = config[key]
    return config


def seconds(text: str) -> float:
    number, unit = re.fullmatch(r"(\d+)([smh])", text).groups()
    return float(number) * UNITS[unit]


def test_every_key_is_one_of_tempo_3():
    assert list(unknown(CONFIG, KEYS)) == []


@pytest.mark.parametrize("key", ["ingester", "compactor", "ingester_client"])
def test_keys_of_version_2_are_found_out(key):
    assert any(f".{key}: no such key" in told for told in unknown({**CONFIG, key: {}}, KEYS))


def test_what_a_real_tempo_3_took_is_known():
    files = sorted(RECORDED.glob("tempo*.yaml"))
    if not files:
        pytest.skip("needs the recorded configurations beside the checkout")

    for file in files:
        assert list(unknown(yaml.safe_load(file.read_text()), KEYS)) == [], file.name


def test_what_just_came_is_found():
    assert at("query_frontend.query_end_cutoff") == "0s"
    assert at("live_store.fail_on_high_lag") is False
    assert seconds(at("live_store.flush_check_period")) <= 1
    assert seconds(at("live_store.max_trace_idle")) <= 1


def test_what_waited_in_the_collectors_queue_is_found_too():
    slack_s = seconds(at("live_store.wal.ingestion_time_range_slack"))
    retried_s = seconds(
        at("exporters.otlp_http/tempo.retry_on_failure.max_elapsed_time", COLLECTOR)
    )

    assert slack_s >= 24 * 3600 > retried_s


def test_everything_that_is_written_is_in_one_place():
    paths = [
        "live_store.shutdown_marker_dir", "live_store.wal.path", "block_builder.wal.path",
        "backend_scheduler.local_work_path", "storage.trace.wal.path", "storage.trace.local.path",
    ]  # fmt: skip

    assert all(at(path).startswith("/var/tempo/") for path in paths)
    assert len({at(path) for path in paths}) == len(paths)


def test_others_reach_its_receivers():
    protocols = at("distributor.receivers.otlp.protocols")

    assert all(told["endpoint"].startswith("0.0.0.0:") for told in protocols.values())
    tempo = at("exporters.otlp_http/tempo.endpoint", COLLECTOR)
    assert tempo.rstrip("}").endswith(protocols["http"]["endpoint"].rpartition(":")[2])


def test_limits_are_above_what_the_collector_may_send_at_once():
    largest_span = 2 * at("distributor.max_attribute_bytes")
    largest = at("processors.batch.send_batch_max_size", COLLECTOR) * largest_span

    assert at("overrides.defaults.ingestion.burst_size_bytes") > largest
    assert at("overrides.defaults.ingestion.max_traces_per_user") > 10_000
    assert at("overrides.defaults.global.max_bytes_per_trace") > 5_000_000


def test_a_whole_stack_fits_into_an_attribute():
    longest_stack = 40 * 200  # lines of `code.stacktrace`, and what one of them has at most

    assert at("distributor.max_attribute_bytes") >= longest_stack


def test_spans_are_kept_for_one_time_only():
    told = {
        at("backend_scheduler.provider.compaction.compaction.block_retention"),
        at("backend_worker.compaction.block_retention"),
    }
    assert len(told) == 1
