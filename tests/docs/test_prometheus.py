"""otel/prometheus*.yml: taken by Prometheus, alike in what they judge, and every target named."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
OTEL = ROOT / "otel"
FILES = [OTEL / "prometheus.yml", OTEL / "prometheus.compose.yml"]
CHECKOUT, COMPOSE = (yaml.safe_load(file.read_text()) for file in FILES)


def jobs(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {job["job_name"]: job for job in config["scrape_configs"]}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_prometheus_takes_it_with_the_rules(file, promtool, tmp_path):
    # As docker-compose.yml mounts them, and as the checkout has them.
    config = tmp_path / "otel" / "prometheus.yml"
    config.parent.mkdir()
    shutil.copy(file, config)
    shutil.copytree(ROOT / "alerts" / "rules", tmp_path / "alerts" / "rules")
    shutil.copytree(ROOT / "alerts" / "rules", tmp_path / "otel" / "rules")

    done = subprocess.run(
        [promtool, "check", "config", str(config)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("rules found") == len(list((ROOT / "alerts" / "rules").glob("*.yml")))


def test_both_look_as_often():
    assert CHECKOUT["global"] == COMPOSE["global"]


def test_the_jobs_that_rules_name_are_in_both():
    assert set(jobs(CHECKOUT)) <= set(jobs(COMPOSE))
    assert jobs(CHECKOUT)["service"]["sample_limit"] == jobs(COMPOSE)["service"]["sample_limit"]


@pytest.mark.parametrize("config", [CHECKOUT, COMPOSE], ids=["checkout", "Compose"])
def test_every_target_says_whose_it_is(config):
    for name, job in jobs(config).items():
        for group in job.get("static_configs", []):
            named = "service_name" in group.get("labels", {})
            # What spans were made into says itself whose spans they were.
            assert named or job.get("honor_labels"), (name, group)
        if "dns_sd_configs" in job:
            targets = [rule["target_label"] for rule in job["relabel_configs"]]
            assert targets == ["service_name"], name


def test_in_a_container_nobody_else_is_reached_by_a_loopback_address():
    own = {"prometheus"}
    for name, job in jobs(COMPOSE).items():
        targets = [t for group in job.get("static_configs", []) for t in group["targets"]]
        assert name in own or not [t for t in targets if t.startswith("127.")]


def test_every_replica_and_worker_of_the_service_is_asked():
    found = jobs(COMPOSE)["service"]["dns_sd_configs"]

    assert {(one["names"][0], one["type"]) for one in found} == {("service", "A")}
    assert [one["port"] for one in found] == [9464, 9465]  # each of two workers has a port
