"""otel/schema and src/why504/names.py say the same, both ways."""

import inspect
from pathlib import Path

import pytest
import yaml

from why504 import names

SCHEMA = Path(__file__).parents[2] / "otel" / "schema"
SPANS = yaml.safe_load((SCHEMA / "spans.yaml").read_text())
METRICS = yaml.safe_load((SCHEMA / "metrics.yaml").read_text())["metrics"]
CONSTANTS = {name: value for name, value in vars(names).items() if name.isupper()}


def test_every_attribute_of_ours_is_described_and_none_besides():
    ours = {value for value in CONSTANTS.values() if value.startswith("why504.")}

    assert set(SPANS["attributes"]) == ours


def test_every_metric_is_described_and_none_besides():
    ours = {value for name, value in CONSTANTS.items() if name.startswith("METRIC_")}

    assert set(METRICS) == ours


def test_every_kind_of_record_is_described_and_none_besides():
    ours = {names.WAIT, names.HOLD, names.STALL, names.SNAPSHOT, names.VITALS}
    assert set(SPANS["records"]) == ours


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


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_has_type_unit_bounded_labels_and_brief(name):
    row = METRICS[name]

    assert row["type"] in {"gauge", "counter", "histogram"}
    assert (row["type"] == "counter") == name.endswith("_total")
    units = {"seconds": "s", "bytes": "By"}
    assert row["unit"] == units.get(name.rpartition("_")[2], "1")
    assert row["cardinality"] in {"fixed", "few", "deployment"}
    assert (row["cardinality"] == "fixed") == (row["labels"] == [])
    assert row["brief"].endswith(".")
    assert len(row) == 5
