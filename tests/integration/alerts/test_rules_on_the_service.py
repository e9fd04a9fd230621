"""The rules against the running stack: what they look at is there, and counters begin at 0."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import yaml
from foreign_metrics import DOCUMENTED
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from lab.prove.deployment import API, RELAY, WORKER, deploy
from lab.prove.on_call import RECEIVER, SERVICE, OnCall
from lab.prove.on_call import RELAY as RELAY_TARGET
from lab.prove.on_call import WORKER as WORKER_TARGET

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / "alerts" / "rules").glob("*.yml"))
MOST_SERIES = 2_000
"""Of one process; otel/prometheus.yml has the same limit."""
WORDS = {"and", "or", "unless", "by", "on", "ignoring", "without", "bool"}
BY_PROMETHEUS = {"up"}
FROM_THE_FIRST_REQUEST_ON = {"http_server_request_duration_seconds"}
"""Its series are one a route and status: more than can be there before anybody asked."""

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.rabbitmq, pytest.mark.nginx]

Selector = tuple[str, tuple[tuple[str, str], ...]]


@pytest.fixture(scope="module")
def running(
    tmp_path_factory, postgres_binaries, nginx_binary, rabbitmq_binaries, alertmanager_binary,
    promtool,
) -> Iterator[tuple[dict[str, list[Sample]], OnCall]]:  # fmt: skip
    """What each part tells before anybody asked anything, and the Prometheus that reads it."""
    folder = tmp_path_factory.mktemp("stack")
    with ExitStack() as stack:
        mem0 = {"SERVICE_MEM0_BASE_URL": "http://127.0.0.1:9", "SERVICE_MEM0_API_KEY": "lab"}
        service = deploy(folder, stack, mem0)
        ports = {
            target: service.of(kind)[0].metrics_port
            for target, kind in {SERVICE: API, RELAY_TARGET: RELAY, WORKER_TARGET: WORKER}.items()
        }
        targets = {target: f"127.0.0.1:{port}" for target, port in ports.items()}
        targets[RECEIVER] = urlsplit(service.environment["WHY504_ENDPOINT"]).netloc
        on_call = OnCall.begin(folder, folder / "store", targets, stack)
        time.sleep(3)  # the queue's depth is asked for each second
        told = {address: page(address) for address in [*targets.values(), on_call.router]}
        yield told, on_call


def page(address: str) -> list[Sample]:
    text = httpx.get(f"http://{address}/metrics", timeout=10).text
    return [s for family in text_string_to_metric_families(text) for s in family.samples]


def expressions() -> dict[str, str]:
    groups = [group for file in FILES for group in yaml.safe_load(file.read_text())["groups"]]
    return {rule.get("alert") or rule["record"]: rule["expr"]
            for group in groups for rule in group["rules"]}  # fmt: skip


def selectors(expression: str) -> set[Selector]:
    """Return the metrics of an expression, with the labels that have to be equal to something."""
    found = set()
    # In `[5m]` and `offset 5m` there is no metric m.
    nothing = r"\b(by|on|ignoring|without)\s*\([^)]*\)|\[\w+\]|\boffset\s+\w+"
    text = re.sub(nothing, " ", expression)
    for name, labels in re.findall(r"([a-zA-Z_:][\w:]*)\b(?!\s*\()(?:\{([^}]*)\})?", text):
        if name not in WORDS:
            equal = re.findall(r'(\w+)="([^"]*)"', labels)
            found.add((name, tuple(sorted((k, v) for k, v in equal if k != "job"))))
    return found


def test_selectors_are_read_as_they_are_meant():
    told = (
        'sum by (a, b) (rate(x_total{k="504",r=~"5.."}[5m])) / on (c) y:z:p95_5m > 6 * 0.005'
        ' or (x_total{k="504"} unless x_total{k="504"} offset 10m)'
    )

    assert selectors(told) == {("x_total", (("k", "504"),)), ("y:z:p95_5m", ())}


def test_every_rule_looks_at_what_the_running_stack_tells(running):
    told, _ = running
    rules = expressions()
    samples = [sample for page in told.values() for sample in page]

    missing = {
        (rule, name, labels)
        for rule, expression in rules.items()
        for name, labels in selectors(expression)
        if name not in rules and name not in BY_PROMETHEUS and name not in DOCUMENTED
        if not name.startswith(tuple(FROM_THE_FIRST_REQUEST_ON))
        if not any(s.name == name and dict(labels).items() <= s.labels.items() for s in samples)
    }

    assert missing == set()


def test_every_counter_of_a_rule_is_born_at_0(running):
    told, _ = running
    counters = {
        name
        for expression in expressions().values()
        for name, _ in selectors(expression)
        if name.endswith(("_total", "_count"))
    } - {"why504_receiver_spans_total"}  # the service has said by now that it is there

    begun = {s.name: s.value for page in told.values() for s in page if s.name in counters}
    assert {name for name in begun if begun[name] != 0} <= {
        # Readiness is asked for by whoever started it.
        "http_server_request_duration_seconds_count",
    }


def test_no_process_tells_more_series_than_its_budget(running):
    told, _ = running

    assert max(len(page) for page in told.values()) <= MOST_SERIES


def test_prometheus_evaluates_every_rule_without_an_error(running):
    _, on_call = running
    deadline_s = time.monotonic() + 60
    while any(rule["health"] == "unknown" for rule in on_call.prometheus.rules()):
        assert time.monotonic() < deadline_s
        time.sleep(1)

    rules = on_call.prometheus.rules()
    assert {rule["name"] for rule in rules} == {*expressions()}
    assert [rule["lastError"] for rule in rules if rule["health"] != "ok"] == []


def test_prometheus_reaches_every_target(running):
    _, on_call = running
    deadline_s = time.monotonic() + 30
    while len(up := on_call.prometheus.query("up == 1")) < 5:
        assert time.monotonic() < deadline_s, up
        time.sleep(1)
