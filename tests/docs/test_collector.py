"""otel/collector*.yaml: keys that exist, pipelines that hold together, nothing lost or leaked."""

from __future__ import annotations

import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from collector_keys import COMPONENTS, SERVICE
from known_keys import unknown

from why504 import names

OTEL = Path(__file__).parents[2] / "otel"
FILES = [OTEL / "collector.yaml", OTEL / "collector.langfuse.yaml"]
CONFIG, LANGFUSE = (yaml.safe_load(file.read_text()) for file in FILES)
KINDS = {"receivers": "receivers", "processors": "processors", "exporters": "exporters"}


def merged(*configs: dict[str, Any]) -> dict[str, Any]:
    """As the collector merges several --config: mappings key by key, lists are replaced."""
    whole: dict[str, Any] = {}
    for config in configs:
        for key, value in config.items():
            mine = whole.get(key)
            both = isinstance(mine, dict) and isinstance(value, dict)
            whole[key] = merged(mine, value) if both else deepcopy(value)
    return whole


BOTH = merged(CONFIG, LANGFUSE)


def complaints(config: dict[str, Any]) -> list[str]:
    found = [f"{key}: no such section" for key in config if key not in {*COMPONENTS, "service"}]
    for kind, known in COMPONENTS.items():
        for name, told in (config.get(kind) or {}).items():
            component = name.partition("/")[0]
            if component not in known:
                found.append(f"{kind}.{name}: {component} is no component that we know")
            else:
                found += unknown(told, known[component], f"{kind}.{name}")
    found += unknown(config["service"], SERVICE, "service")
    return found + _loose_ends(config)


def _loose_ends(config: dict[str, Any]) -> list[str]:
    """What a pipeline names is there, and what is there is in a pipeline."""
    connectors = set(config.get("connectors") or {})
    used: dict[str, set[str]] = {kind: set() for kind in KINDS}
    found = []
    for pipeline, parts in config["service"]["pipelines"].items():
        for kind in parts:
            if kind not in KINDS:
                found.append(f"{pipeline}.{kind}: a pipeline has receivers, processors, exporters")
                continue
            used[kind] |= set(parts[kind])
            there = set(config.get(kind) or {}) | (connectors if kind != "processors" else set())
            found += [f"{pipeline}.{kind}: {one} is not defined" for one in parts[kind]
                      if one not in there]  # fmt: skip
    for kind, names_used in used.items():
        idle = set(config.get(kind) or {}) - names_used
        found += [f"{kind}.{one}: is in no pipeline" for one in sorted(idle)]
    for one in sorted(connectors):
        if one not in used["receivers"] or one not in used["exporters"]:
            found.append(f"connectors.{one}: has to end one pipeline and begin another")
    there = set(config.get("extensions") or {})
    told = set(config["service"]["extensions"])
    return found + [f"extensions.{one}: is not in service.extensions" for one in there ^ told]


@pytest.mark.parametrize("config", [CONFIG, BOTH], ids=["alone", "with Langfuse"])
def test_every_key_and_component_exists_and_every_pipeline_is_whole(config):
    assert complaints(config) == []


def test_a_mistake_is_told_by_its_place():
    config = deepcopy(CONFIG)
    config["processors"]["batch"]["send_batch_sise"] = 1
    config["processors"]["tail_sampling"]["policies"][0]["boolean_attribute"]["keys"] = "x"
    config["exporters"]["otlphttp"] = {}
    config["service"]["pipelines"]["traces/in"]["exporters"].append("nowhere")
    config["service"]["extensions"].remove("health_check")

    told = "\n".join(complaints(config))

    for place in (
        "processors.batch.send_batch_sise: no such key",
        "processors.tail_sampling.policies[0].boolean_attribute.keys: no such key",
        "exporters.otlphttp: otlphttp is no component",
        "traces/in.exporters: nowhere is not defined",
        "extensions.health_check: is not in service.extensions",
    ):
        assert place in told


def test_langfuse_changes_nothing_for_tempo():
    assert set(LANGFUSE["service"]["extensions"]) > set(CONFIG["service"]["extensions"])
    for kind in ("receivers", "processors", "connectors", "exporters", "extensions"):
        assert not set(CONFIG[kind]) & set(LANGFUSE.get(kind) or {})
    assert not set(CONFIG["service"]["pipelines"]) & set(LANGFUSE["service"]["pipelines"])


def seconds(text: str) -> float:
    number, unit = re.fullmatch(r"\$\{env:\w+:-(\d+)(s|m)\}|(\d+)(s|m)", text).group(1, 2)
    return float(number) * {"s": 1, "m": 60}[unit]


def test_no_trace_is_decided_before_the_gateway_has_given_up():
    exporting_s = 5 + 5  # the SDK's batches, and what waits for the receiver once
    gateway_s = 60  # the reference service's, and nginx's own default
    waits_s = seconds(CONFIG["processors"]["tail_sampling"]["decision_wait"])

    assert waits_s >= gateway_s + exporting_s


def test_memory_is_limited_before_anything_else_and_every_exporter_keeps_what_waits_on_disk():
    for name, pipeline in BOTH["service"]["pipelines"].items():
        if "otlp" in pipeline["receivers"]:
            assert pipeline["processors"][0] == "memory_limiter", name
    for name, exporter in BOTH["exporters"].items():
        if name.startswith("otlp_http"):
            assert exporter["sending_queue"]["storage"] == "file_storage/queue"
            assert exporter["retry_on_failure"]["max_elapsed_time"] not in (0, "0s")


def test_whatever_goes_to_tempo_has_been_stripped():
    begins = {"forward/evidence", "forward/everything", "forward/requests"}
    inlet = BOTH["service"]["pipelines"]["traces/in"]

    assert set(inlet["exporters"]) == begins
    strip = {"transform/words", "transform/accounts", "redaction/secrets"}
    assert strip <= set(inlet["processors"])
    for pipeline in BOTH["service"]["pipelines"].values():
        if "otlp_http/tempo" in pipeline["exporters"]:
            assert set(pipeline["receivers"]) <= begins
            assert "batch" in pipeline["processors"]


# --- what goes where: the conditions, evaluated on spans --------------------------------------


def dropped(processor: str, span: dict[str, Any], service: str, name: str = "GET /") -> bool:
    """Whether a filter leaves a span out: its conditions, read as Python reads them."""
    config = BOTH["processors"][processor]
    values = {"span": {"attributes": span, "name": name}, "resource": {"service.name": service}}
    return any(_holds(condition, values) for condition in config["trace_conditions"])


def _holds(condition: str, values: dict[str, Any]) -> bool:
    text = re.sub(r"\$\{env:\w+:-([^}]*)\}", r"\1", condition)
    text = re.sub(r'span\.attributes\["([^"]+)"\]', r'span["attributes"].get("\1")', text)
    text = re.sub(r'resource\.attributes\["([^"]+)"\]', r'resource.get("\1")', text)
    text = text.replace("span.name", 'span["name"]').replace("nil", "None")
    scope = {**values, "IsMatch": lambda value, pattern: bool(re.search(pattern, value or ""))}
    return bool(eval(text, {"__builtins__": {}}, scope))


STATUS = names.HTTP_STATUS
SPANS = [
    # what, attributes, service, name, whether it goes past the sampler
    ("a 504 of the gateway", {STATUS: 504}, names.GATEWAY_SERVICE, "GET /v1/x", True),
    ("a client that left", {STATUS: 499}, names.GATEWAY_SERVICE, "GET /v1/x", True),
    ("a 502 of the gateway", {STATUS: 502}, names.GATEWAY_SERVICE, "GET /v1/x", True),
    ("a request that went well", {STATUS: 200}, names.GATEWAY_SERVICE, "GET /v1/x", False),
    ("a broken request", {}, names.GATEWAY_SERVICE, "HTTP", False),
    ("a server span", {STATUS: 200}, "context-handling", "GET /v1/x", False),
    ("a server span that failed", {STATUS: 503}, "context-handling", "GET /v1/x", False),
    ("a query", {"db.system.name": "postgresql"}, "context-handling", "SELECT", False),
    *(
        (kind, {names.KIND: kind, names.KEEP: True}, "context-handling", f"{kind} x", True)
        for kind in (names.WAIT, names.HOLD, names.STALL, names.SNAPSHOT, names.VITALS)
    ),
    ("locks were looked for", {}, "postgresql", names.LOCKS_WATCHED, True),
    ("alarms were asked for", {}, "rabbitmq", names.BROKER_WATCHED, True),
]


@pytest.mark.parametrize(
    ("attributes", "service", "name", "at_once"), [row[1:] for row in SPANS],
    ids=[row[0] for row in SPANS],
)  # fmt: skip
def test_evidence_goes_to_tempo_at_once_and_no_span_goes_twice(attributes, service, name, at_once):
    assert dropped("filter/evidence", attributes, service, name) is not at_once
    assert dropped("filter/rest", attributes, service, name) is at_once


@pytest.mark.parametrize("row", SPANS, ids=lambda row: row[0])
def test_records_are_not_counted_as_requests(row):
    _, attributes, service, name, _ = row
    is_record = names.KIND in attributes or name.startswith("watch ")

    assert dropped("filter/requests", attributes, service, name) is is_record


@pytest.mark.parametrize(
    ("what", "attributes", "service", "told"),
    [
        ("a call of another service", {names.GEN_AI_OPERATION: "chat"}, "shop", True),
        ("of an older convention", {"gen_ai.system": "openai"}, "shop", True),
        ("a request", {STATUS: 200}, "shop", False),
        ("told by the service itself", {names.GEN_AI_OPERATION: "chat"}, "context-handling", False),
        ("by its worker", {names.GEN_AI_OPERATION: "chat"}, "context-handling-worker", False),
        ("a snapshot", {names.GEN_AI_OPERATION: "chat", names.KIND: names.SNAPSHOT}, "shop", False),
    ],
)
def test_langfuse_gets_each_llm_call_once(what, attributes, service, told):
    assert dropped("filter/llm", attributes, service) is not told, what


def test_what_the_sampler_keeps_is_what_the_probe_marks():
    policies = {one["type"]: one for one in CONFIG["processors"]["tail_sampling"]["policies"]}

    assert policies["boolean_attribute"]["boolean_attribute"] == {"key": names.KEEP, "value": True}
    timeouts = policies["numeric_attribute"]["numeric_attribute"]
    assert timeouts["key"] == names.HTTP_STATUS
    assert timeouts["min_value"] <= 499 < 504 <= timeouts["max_value"]
    assert policies["status_code"]["status_code"] == {"status_codes": ["ERROR"]}
    assert CONFIG["processors"]["tail_sampling"]["decision_cache"]["non_sampled_cache_size"] == 0
