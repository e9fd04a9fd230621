from __future__ import annotations

import json

import yaml

from lab.prove.on_call import RECEIVER, SERVICE, cause_in
from lab.stack.prometheus import CONFIG, RULES, configuration


def scraped(text: str) -> dict[str, list]:
    jobs = yaml.safe_load(text)["scrape_configs"]
    return {
        job["job_name"]: [
            (target, group["labels"]["service_name"])
            for group in job["static_configs"]
            for target in group["targets"]
        ]
        for job in jobs
    }


def test_the_lab_puts_its_addresses_in_place_and_leaves_out_what_it_has_not():
    text = configuration({SERVICE: "127.0.0.1:1", RECEIVER: "127.0.0.1:2"}, "127.0.0.1:3")

    assert scraped(text) == {
        "service": [("127.0.0.1:1", "context-handling")],
        "receiver": [("127.0.0.1:2", "context-handling")],
        "alerts": [],
    }
    whole = yaml.safe_load(text)
    (manager,) = whole["alerting"]["alertmanagers"]
    assert manager["static_configs"] == [{"targets": ["127.0.0.1:3"]}]
    assert whole["rule_files"] == [f"{RULES}/*.yml"]


def test_nothing_else_is_changed():
    before = yaml.safe_load(CONFIG.read_text())
    targets = {t: t for job in scraped(CONFIG.read_text()).values() for t, _ in job}

    after = yaml.safe_load(configuration(targets, "127.0.0.1:9093"))

    assert {**after, "rule_files": []} == {**before, "rule_files": []}


def test_a_card_names_its_cause_in_its_title_or_in_a_line():
    line = {"decoratedText": {"topLabel": "Cause · F1 Broker unreachable"}}

    assert cause_in({"text": "P0 · Cause A2b shop"}) == "A2b"
    assert cause_in({"text": "P0", "cardsV2": [json.loads(json.dumps(line))]}) == "F1"
    assert cause_in({"text": "P0 · Gateway504Ratio shop"}) == ""
