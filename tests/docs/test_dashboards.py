"""grafana/: dashboards ask for what exists, say what is normal, and are where alerts lead."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import promql_parser as promql
import pytest
import yaml
from grafana_foundation_sdk.models import units

from grafana.source.limits import LIMITS
from grafana.source.panels import MOST_SERIES
from lab.prove.asked import PROMETHEUS, TEMPO, Asked, asked, boards, put_in
from lab.standins import traceql
from why504 import names

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "grafana"
BOARDS = {board["uid"]: board for board in boards()}
PANELS = [
    pytest.param(panel, id=f"{uid}-{panel['id']}")
    for uid, board in BOARDS.items()
    for panel in board["panels"]
    if panel["type"] != "row"
]
GIVEN = {"service_name": "shop", "family": "shop", "explorer_url": "http://e"}
ASKED = [one for board in BOARDS.values() for one in asked(board, GIVEN)]
TARGET = {"service_name", "job", "instance"}
"""What Prometheus adds to every sample: otel/prometheus.yml."""
WELL_KNOWN = {
    "up": set(),
    "scrape_duration_seconds": set(),
    "scrape_samples_scraped": set(),
    "process_start_time_seconds": set(),
    "process_resident_memory_bytes": set(),
    "process_cpu_seconds_total": set(),
    "ALERTS": {"alertname", "alertstate", "severity"},
}
OF_OTHERS = {"exporter", "reason"}
"""Labels of the collector's and Tempo's own metrics, which are known by the rules about them."""


def of(source: str) -> list:
    return [
        pytest.param(one, id=f"{one.where} {n}")
        for n, one in enumerate(ASKED)
        if one.source == source
    ]


def rules() -> list[dict]:
    files = sorted((ROOT / "alerts" / "rules").glob("*.yml"))
    return [
        rule
        for file in files
        for group in yaml.safe_load(file.read_text())["groups"]
        for rule in group["rules"]
    ]


ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}
RECORDED = {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}


def nodes(expression: str) -> list:
    found = []
    promql.walk(promql.parse(expression), found.append)
    return found


def selectors(expression: str) -> list[promql.VectorSelector]:
    return [node for node in nodes(expression) if isinstance(node, promql.VectorSelector)]


def grouped_by(expression: str) -> set[str]:
    told = [node.modifier for node in nodes(expression) if isinstance(node, promql.AggregateExpr)]
    return {label for modifier in told if modifier for label in modifier.labels}


@pytest.fixture(scope="session")
def known(told_metrics) -> dict[str, set[str]]:
    recorded = {name: grouped_by(text) - {"le"} for name, text in RECORDED.items()}
    others = {
        selector.name: OF_OTHERS
        for rule in ALERTS.values()
        for selector in selectors(rule["expr"])
        if selector.name.startswith(("otelcol_", "tempo_"))
    }
    return told_metrics | WELL_KNOWN | recorded | others


@pytest.fixture(scope="session")
def generated(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dashboards")
    subprocess.run([sys.executable, "-m", "grafana.source", str(folder)], cwd=ROOT, check=True)
    return folder


def test_the_json_is_what_the_code_makes(generated):
    told = {file.name: file.read_text() for file in (GRAFANA / "dashboards").iterdir()}

    # `make dashboards` writes it.
    assert told == {file.name: file.read_text() for file in generated.iterdir()}


def test_a_dashboard_has_the_name_of_its_file():
    assert {file.stem for file in (GRAFANA / "dashboards").glob("*.json")} == set(BOARDS)


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_asks_a_question_and_says_what_is_normal(panel):
    assert panel["title"].endswith("?") or panel["title"].startswith("The latest")
    assert re.fullmatch(
        r"\*\*Normal:\*\* \S.*\.\n\n\*\*If not:\*\* \S.*[.?]"
        r"(\n\nThe alert \w+ \(P[012]\) fires (above|at) [\d.]+\.)?",
        panel["description"],
    )
    assert panel["fieldConfig"]["defaults"]["unit"] in vars(units).values()
    assert panel["targets"]


@pytest.mark.parametrize("uid", BOARDS)
def test_panels_have_ids_and_places_of_their_own(uid):
    panels = BOARDS[uid]["panels"]
    taken = [
        (x, y)
        for panel in panels
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24
    ids = [panel["id"] for panel in panels]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("one", of(PROMETHEUS))
def test_a_query_asks_for_metrics_and_labels_that_exist(one: Asked, known):
    has: set[str] = set(TARGET)
    for selector in selectors(one.text):
        assert selector.name in known
        labels = known[selector.name] | TARGET
        assert {matcher.name for matcher in selector.matchers.matchers} <= labels
        has |= labels
    assert grouped_by(one.text) <= has


@pytest.mark.parametrize("panel", PANELS)
def test_a_legend_names_labels_that_are_left(panel):
    for target in panel["targets"]:
        named = set(re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", "")))
        if named:
            text = put_in(target["expr"], dict.fromkeys(_variables(target["expr"]), "5"))
            kept = grouped_by(text) | {
                label
                for selector in selectors(text)
                for label in TARGET | grouped_by(RECORDED.get(selector.name, "vector(1)"))
            }
            assert named <= kept


def _variables(text: str) -> set[str]:
    return set(re.findall(r"\$\{?(\w+)", text))


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_draws_a_bounded_number_of_series(panel):
    for target in panel["targets"]:
        if target["datasource"]["type"] == TEMPO:
            limited = re.search(r"\| topk\((\d+)\)$", target["query"])
            assert int(limited[1]) <= MOST_SERIES if limited else target["limit"] <= 20
            continue
        text = put_in(target["expr"], dict.fromkeys(_variables(target["expr"]), "5"))
        assert bounded(promql.parse(text)), text


def bounded(node) -> bool:
    match node:
        case promql.AggregateExpr() if str(node.op) == "topk":
            return node.param.val <= MOST_SERIES
        case promql.AggregateExpr():
            # Alerts are as many as there are rules, models and providers are configured.
            few = {"alertname", "severity", "gen_ai_request_model", "provider", "le"}
            return node.modifier is None or set(node.modifier.labels) <= few
        case promql.BinaryExpr():
            return bounded(node.lhs) and bounded(node.rhs)
        case promql.ParenExpr():
            return bounded(node.expr)
        case promql.VectorSelector():
            return node.name.startswith("service:")
        case promql.Call():
            told = [arg for arg in node.args if not isinstance(arg, promql.NumberLiteral)]
            return all(bounded(arg) for arg in told)
        case _:
            return isinstance(node, promql.NumberLiteral)


@pytest.mark.parametrize("one", of(TEMPO))
def test_traces_are_found_by_a_condition_on_one_span_with_attributes_that_exist(one: Asked):
    search, *pipeline = re.split(r"(?<=\}) \| (?=rate)", one.text)

    query = traceql.parsed(search)
    assert query.conditions
    # Structural queries see parts of a trace; a limit gives any traces but for this.
    assert query.most_recent or pipeline
    told = [field.field for field in query.conditions] + [*query.selected]
    told += re.findall(r"by \(([\w.]+)\)", " ".join(pipeline))
    constants = {value for name, value in vars(names).items() if name.isupper()}
    for field in told:
        scope, _, name = field.partition(".")
        assert field == "duration" or (scope in {"span", "resource"} and name in constants)


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_leads_to_a_dashboard_that_shows_what_it_looked_at(alert):
    address = ALERTS[alert]["annotations"]["dashboard_url"]
    uid = re.match(r"/d/([\w-]+)", address)[1]
    shown = {
        selector.name
        for one in ASKED
        if one.board == uid and one.source == PROMETHEUS
        for selector in selectors(one.text)
    }

    if alert == "Watchdog":
        assert "ALERTS" in shown
        return
    looked_at = {selector.name for selector in selectors(ALERTS[alert]["expr"])}
    # Of how many requests it was is no figure that anybody looks for.
    assert looked_at - {"service:requests:increase5m"} <= shown | sources(shown)
    for name in re.findall(r"var-(\w+)=", address):
        assert name in {one["name"] for one in BOARDS[uid]["templating"]["list"]}


def sources(recorded: set[str]) -> set[str]:
    return {
        selector.name for name in recorded & set(RECORDED) for selector in selectors(RECORDED[name])
    }


@pytest.mark.parametrize("alert", LIMITS)
def test_what_is_coloured_is_what_the_alert_says(alert):
    row, rule = LIMITS[alert], ALERTS[alert]
    compared = {
        number(node.rhs)
        for node in nodes(rule["expr"])
        if isinstance(node, promql.BinaryExpr) and str(node.op) in {">", ">=", "<", "<=", "=="}
    }

    assert row.level == rule["labels"]["severity"]
    assert any(told is not None and abs(told - row.value) < 1e-12 for told in compared)


def number(node) -> float | None:
    match node:
        case promql.NumberLiteral():
            return node.val
        case promql.BinaryExpr() if str(node.op) == "*":
            sides = number(node.lhs), number(node.rhs)
            return None if None in sides else sides[0] * sides[1]
        case _:
            return None


def test_every_limit_colours_a_panel():
    told = "".join(panel.values[0]["description"] for panel in PANELS)

    assert [alert for alert in LIMITS if f"The alert {alert} " not in told] == []


def test_links_between_dashboards_lead_to_dashboards():
    told = json.dumps([*BOARDS.values()])

    assert set(re.findall(r'"/d/([\w-]+)', told)) <= set(BOARDS)


@pytest.fixture(scope="module")
def sources_file() -> dict:
    text = (GRAFANA / "provisioning" / "datasources" / "why504.yaml").read_text()
    return {one["uid"]: one for one in yaml.safe_load(text)["datasources"]}


def test_dashboards_ask_data_sources_that_are_provisioned(sources_file):
    used = set(re.findall(r'"uid": "(prometheus|tempo|[\w-]*)"', json.dumps([*BOARDS.values()])))

    assert used - set(BOARDS) <= set(sources_file)
    told = json.dumps([*sources_file.values()])
    assert set(re.findall(r'"datasourceUid": "([\w-]+)"', told)) <= set(sources_file)


def test_grafana_puts_in_no_variable_that_is_its_own(sources_file):
    told = json.dumps([*sources_file.values()])

    assert set(re.findall(r"(?<!\$)\$(\w+)", told)) == {"WHY504_EXPLORER_URL", "LANGFUSE_URL"}
    assert re.findall(r"(?<!\$)\$\{", told) == []


def test_what_leads_from_a_span_to_metrics_exists(sources_file, known):
    for query in sources_file["tempo"]["jsonData"]["tracesToMetrics"]["queries"]:
        text = query["query"].replace("$$__tags", 'service_name="shop"')
        for selector in selectors(text):
            assert selector.name in known
        assert grouped_by(text) <= {x for s in selectors(text) for x in known[s.name]} | TARGET


def test_a_link_out_of_a_trace_has_what_grafana_fails_without(sources_file):
    for one in sources_file["tempo"]["correlations"]:
        assert {"label", "description", "type", "config"} == set(one)
        assert one["type"] == "external"
        assert one["config"]["target"]["url"].endswith("$${traceID}")


def test_the_provider_reads_where_compose_mounts_the_dashboards():
    text = (GRAFANA / "provisioning" / "dashboards" / "why504.yaml").read_text()
    (provider,) = yaml.safe_load(text)["providers"]

    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"
