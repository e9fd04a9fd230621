"""otel/schema says the same as the code, both ways, and docs/telemetry.md the same as it."""

import inspect
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from lab.telemetry_page import page
from service.application.settings import Settings
from service.infrastructure.llm.emotion_reader import GroqEmotionReader
from service.infrastructure.memory.mem0_memory import make_memory
from service.infrastructure.messaging.metrics import BacklogMetrics, ConsumerMetrics
from service.infrastructure.redis.metrics import RateMetrics
from why504 import names
from why504.alerts.alert import FIRING, Alert
from why504.alerts.kept.ledger import Ledger
from why504.alerts.metrics import Delivering, Guarding, Taking, Ticketed, lead_to_explorer
from why504.testing import FakeClock

SCHEMA = Path(__file__).parents[2] / "otel" / "schema"
SPANS = yaml.safe_load((SCHEMA / "spans.yaml").read_text())
METRICS, SERVICE, ROUTER = (
    yaml.safe_load((SCHEMA / f"{file}.yaml").read_text())["metrics"]
    for file in ("metrics", "service", "alerts")
)
EVERY_METRIC = {**METRICS, **SERVICE, **ROUTER}
CONSTANTS = {name: value for name, value in vars(names).items() if name.isupper()}


def test_every_attribute_of_ours_is_described_and_none_besides():
    ours = {value for value in CONSTANTS.values() if value.startswith("why504.")}

    assert set(SPANS["attributes"]) == ours


def test_every_metric_is_described_and_none_besides():
    ours = {value for name, value in CONSTANTS.items() if name.startswith("METRIC_")}

    assert set(METRICS) == ours


def test_every_kind_of_record_is_described_and_none_besides():
    ours = {names.WAIT, names.HOLD, names.STALL, names.SNAPSHOT, names.VITALS, names.RESTART}
    assert set(SPANS["records"]) == ours


def test_every_span_of_ours_that_is_no_record_is_described_and_none_besides():
    ours = {value for name, value in CONSTANTS.items() if name.endswith("_WATCHED")}

    assert set(SPANS["spans"]) == ours


def test_every_resource_is_described_as_it_is_spelled():
    spelled = {
        name: make(*(f"<{one}>" for one in inspect.signature(make).parameters))
        for name, make in vars(names).items()
        if inspect.isfunction(make)
    }

    described = {name: row["pattern"] for name, row in SPANS["resources"].items()}
    assert described == {name: text.replace("root_pid", "pid") for name, text in spelled.items()}


@pytest.mark.parametrize("name", SPANS["attributes"])
def test_an_attribute_has_type_unit_cardinality_and_brief(name):
    row = SPANS["attributes"][name]

    assert row["type"] in {"string", "int", "double", "boolean", "string[]"}
    assert row["cardinality"] in {"fixed", "few", "deployment", "unbounded"}
    units = {"seconds": "s", "bytes": "By"}
    assert row["unit"] == units.get(name.rpartition("_")[2], "1")
    assert row["brief"].endswith(".")
    assert len(row) == 4


def registered(registry: CollectorRegistry) -> dict[str, tuple[str, tuple[str, ...]]]:
    """What is served: name -> type and labels."""
    declared = {
        name: getattr(collector, "_labelnames", None)
        for collector, all_names in registry._collector_to_names.items()
        for name in all_names
    }
    found = {}
    for family in registry.collect():
        labels = declared.get(family.name)
        if labels is None or family.type == "info":  # made anew each time somebody looks
            labels = sorted({label for sample in family.samples for label in sample.labels})
        suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
        # What is always 1 and tells by its labels is a gauge to Prometheus.
        kind = "gauge" if family.type == "info" else family.type
        found[f"{family.name}{suffix}"] = (kind, tuple(labels))
    return found


def described(rows: dict[str, dict]) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {name: (row["type"], tuple(row["labels"])) for name, row in rows.items()}


def test_every_metric_of_the_service_is_described_and_none_besides():
    registry = CollectorRegistry()
    settings = Settings(mem0_api_key=SecretStr("some"))
    GroqEmotionReader(settings, registry)
    make_memory(settings, registry)
    for metrics in (RateMetrics, BacklogMetrics, ConsumerMetrics):
        metrics(registry)

    assert described(SERVICE) == registered(registry)


def test_every_metric_of_the_router_is_described_and_none_besides(tmp_path):
    registry = CollectorRegistry()
    for metrics in (Taking, Guarding, Ticketed):
        metrics(registry)
    lead_to_explorer(registry, "https://why504.example.com")
    ledger = Ledger(tmp_path / "ledger")
    labels = {"alertname": "Some", "severity": "p0", "service_name": "shop"}
    ledger.take([Alert(labels, FIRING, starts_ns=0, fingerprint="some")], [], 0)
    registry.register(Delivering(ledger, FakeClock(0)))

    assert described(ROUTER) == registered(registry)


def test_the_page_of_names_is_made_of_this(root):
    # `make docs` writes it.
    assert (root / "docs" / "telemetry.md").read_text() == page()


@pytest.mark.parametrize("name", EVERY_METRIC)
def test_a_metric_has_type_unit_bounded_labels_and_brief(name):
    row = EVERY_METRIC[name]

    assert row["type"] in {"gauge", "counter", "histogram"}
    assert (row["type"] == "counter") == name.endswith("_total")
    units = {"seconds": "s", "bytes": "By"}
    assert row["unit"] == units.get(name.rpartition("_")[2], "1")
    assert row["cardinality"] in {"fixed", "few", "deployment"}
    assert (row["cardinality"] == "fixed") == (row["labels"] == [])
    assert row["brief"].endswith(".")
    assert len(row) == 5
