"""docs/kubernetes.md: what it shows is what Kubernetes and the collector take."""

import re
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "kubernetes.md"
VERSION = "1.37"
SNIPPETS = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
FOR_THE_COLLECTOR = [text for text in SNIPPETS if text.startswith("# collector")]
MANIFESTS = [yaml.safe_load(text) for text in SNIPPETS if not text.startswith("# collector")]
OF_THE_OPERATOR = "monitoring.coreos.com/v1"
# https://prometheus-operator.dev/docs/api-reference/api/#monitoring.coreos.com/v1.PodMonitor
MONITOR = {"selector", "podMetricsEndpoints", "namespaceSelector", "jobLabel", "sampleLimit"}
ENDPOINT = {
    "port", "portNumber", "path", "interval", "scrapeTimeout", "relabelings", "honorLabels",
    "authorization",
}  # fmt: skip
RELABELING = {"sourceLabels", "targetLabel", "regex", "replacement", "action", "separator"}


def test_there_are_snippets():
    assert len(MANIFESTS) >= 4
    assert len(FOR_THE_COLLECTOR) >= 3


@pytest.mark.parametrize(
    "manifest",
    [each for each in MANIFESTS if each["apiVersion"] != OF_THE_OPERATOR],
    ids=lambda each: f"{each['kind']} {each['metadata']['name']}",
)
def test_kubernetes_takes_it(manifest):
    kubernetes_validate.validate(manifest, VERSION, strict=True)


def test_the_page_names_the_version_that_it_is_checked_against():
    assert f"Kubernetes {VERSION}" in PAGE.read_text()


def test_the_monitor_has_fields_that_the_operator_knows_and_ports_that_pods_have():
    (monitor,) = [each for each in MANIFESTS if each["apiVersion"] == OF_THE_OPERATOR]
    ports = {port for each in MANIFESTS for port in named_ports(each)}

    assert set(monitor["spec"]) <= MONITOR
    for endpoint in monitor["spec"]["podMetricsEndpoints"]:
        assert set(endpoint) <= ENDPOINT
        assert endpoint["port"] in ports
        assert all(set(one) <= RELABELING for one in endpoint["relabelings"])
        assert {one["targetLabel"] for one in endpoint["relabelings"]} == {"service_name"}


def named_ports(manifest):
    spec = manifest["spec"].get("template", manifest)["spec"]
    containers = spec.get("containers", [])
    return {port["name"] for each in containers for port in each.get("ports", ())}


@pytest.mark.parametrize("text", FOR_THE_COLLECTOR, ids=lambda text: text.splitlines()[0][2:])
def test_the_collector_finds_all_that_a_second_file_names(text):
    first = yaml.safe_load((ROOT / "otel" / "collector.yaml").read_text())
    second = yaml.safe_load(text)
    merged = {part: {**first.get(part, {}), **second.get(part, {})} for part in (*first, *second)}

    for name, pipeline in second["service"].get("pipelines", {}).items():
        assert name in first["service"]["pipelines"]
        assert set(pipeline["exporters"]) <= set(merged["exporters"])
    assert set(second["service"].get("extensions", ())) <= set(merged["extensions"])
    for exporter in second.get("exporters", {}).values():
        if "auth" in exporter:
            assert exporter["auth"]["authenticator"] in second["service"]["extensions"]


def test_the_arithmetic_adds_up():
    text = PAGE.read_text()
    spans = float(re.search(r"spans of a request \| ([\d.]+)", text)[1])
    size = float(re.search(r"a span in Tempo \| (\d+) B", text)[1])
    a_second = 200 * spans

    assert f"{a_second:,.0f} spans/s" in text
    assert f"{a_second * 86400 / 1e6:.0f} million a day" in text
    assert f"{a_second * 86400 * size / 1e9:.1f} GB a day" in text
    assert f"{a_second * 86400 * size * 7 / 1e9:.0f} GB in the week" in text
    assert f"{a_second * 86400 * size / 1e10:.1f} GB a day, and" in text
    assert f"{40_000 // 75 // 10 * 10} requests/s" in text
    assert f"{240_000 * spans * size / 1e6:.0f} MB more" in text
