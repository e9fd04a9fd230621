"""alerts/rules: every alert has what a card needs, a test in promtool's language, and a runbook."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from foreign_metrics import DOCUMENTED

from lab.faults import FAULTS

ALERTS = Path(__file__).parents[2] / "alerts"
LEVELS = ("p0", "p1", "p2")
TESTS = sorted((ALERTS / "tests").glob("*.yml"))
RAISED_BY_THE_ROUTER = {"AlertingSilent", "AlertsNotKept", "WebhookUnusable"}
RAISED_BY_THE_PROBE_ALONE = {"ServiceCrashed"}


def rules(file: str) -> list[dict]:
    groups = yaml.safe_load((ALERTS / "rules" / f"{file}.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


ALL = {rule["alert"]: (level, rule) for level in LEVELS for rule in rules(level)}
HEARTBEAT = "Watchdog"


@pytest.mark.parametrize("name", ALL)
def test_an_alert_says_what_how_much_and_where_to_go_on(name):
    level, rule = ALL[name]
    annotations = rule["annotations"]

    assert rule["labels"] == {"severity": "none" if name == HEARTBEAT else level}
    assert set(annotations) == {"summary", "description", "runbook_url", "dashboard_url"}
    assert "$value" in annotations["description"]
    assert annotations["runbook_url"] == f"/runbooks/{name}"
    assert re.match(r"/d/why504-[a-z]+(\?|$)", annotations["dashboard_url"])


@pytest.mark.parametrize("name", sorted({*ALL} - {HEARTBEAT}))
def test_promtool_sees_an_alert_silent_firing_and_over(name):
    cases = [
        case["exp_alerts"]
        for file in TESTS
        for test in yaml.safe_load(file.read_text())["tests"]
        if test["name"] == name
        for case in test["alert_rule_test"]
        if case["alertname"] == name
    ]

    assert [bool(case) for case in cases] == [False, True, False]


def test_every_alert_has_a_runbook_and_there_are_no_others():
    runbooks = {file.stem for file in (ALERTS / "runbooks").glob("*.md")}

    assert runbooks == {*ALL} | RAISED_BY_THE_ROUTER | RAISED_BY_THE_PROBE_ALONE


def test_every_alert_of_the_fault_table_is_one():
    assert {row.alert for row in FAULTS} - {"none"} <= {*ALL}


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_promtool_agrees(file, promtool):
    assert complaints(promtool, "test", "rules", str(file)) == ""


def test_promtool_takes_the_rules_and_the_configuration(promtool):
    rules = sorted(map(str, (ALERTS / "rules").glob("*.yml")))
    configuration = ALERTS.parent / "otel" / "prometheus.yml"

    assert complaints(promtool, "check", "rules", *rules) == ""
    assert complaints(promtool, "check", "config", "--syntax-only", str(configuration)) == ""


def test_a_metric_of_tempo_or_the_collector_is_one_that_it_documents():
    text = "\n".join(
        file.read_text() for file in [*ALERTS.glob("rules/*.yml"), *ALERTS.glob("runbooks/*.md")]
    )
    named = set(re.findall(r"\b(?:otelcol|tempo)_[a-z_]+[a-z]", text))

    whole = {name for name in named if not any(known.startswith(name) for known in DOCUMENTED)}
    assert whole == set()
    rules = {name for name in named if name.endswith("_total")}
    assert rules <= {*DOCUMENTED}


def complaints(promtool: Path, *arguments: str) -> str:
    """Return what promtool says if it is not content."""
    done = subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr or "it failed silently"
