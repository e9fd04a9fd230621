"""Dashboards see why P0s burn, and what they did: counted by cause, from what is on disk."""

from __future__ import annotations

import pytest
from alerts_by_hand import Router, alert
from prometheus_client import CollectorRegistry, generate_latest

from why504.alerts.kept.causes import MOST_SERVICES
from why504.alerts.metrics import CAUSES as COUNTED
from why504.alerts.metrics import Delivering, lead_to_explorer
from why504.alerts.rooms.finding import Aftermath, Finding
from why504.diagnose.causes import CAUSES, HEALTH_CHECK, UNKNOWN

BURNING = "why504_alerts_burning_incidents"
TIMED_OUT = "why504_alerts_timed_out_requests_total"


class Knowing:
    """Finds F1 once it may, and 212 requests of two causes afterwards."""

    found = False

    def explain(self) -> list[Finding]:
        if not self.found:
            return []
        return [Finding("F1", "Broker", "it does not answer", [], "abc", "9f3c", ["shop"])]

    def aftermath(self, service: str, since_ns: int, until_ns: int) -> Aftermath:
        return Aftermath(60.0, 212, {"F1": 200, UNKNOWN: 12})


@pytest.fixture
def router(tmp_path) -> Router:
    return Router(tmp_path, Knowing())


def told(router: Router, name: str) -> dict[tuple[str, str], float]:
    registry = CollectorRegistry()
    registry.register(Delivering(router.ledger, router.clock))
    return {
        (sample.labels["service"], sample.labels["cause"]): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == name
    }


def test_a_p0_burns_for_an_unknown_cause_until_one_is_found(router):
    assert told(router, BURNING) == {}
    router.take(alert())
    router.run(5)
    assert told(router, BURNING) == {("shop", UNKNOWN): 1}

    router.explainer.found = True
    router.run(60)
    assert told(router, BURNING) == {("shop", "F1"): 1}


def test_every_cause_is_counted_from_0_on_before_the_first_p0_is_over(router):
    router.take(alert())
    router.run(5)

    assert told(router, TIMED_OUT) == {("shop", cause): 0 for cause in COUNTED}


def test_what_a_p0_did_is_counted_by_cause_once_it_is_over(router):
    router.take(alert())
    router.run(5)
    router.take(alert(end_s=6))
    router.run(60)

    counted = told(router, TIMED_OUT)
    assert {cause: count for cause, count in counted.items() if count} == {
        ("shop", "F1"): 200,
        ("shop", UNKNOWN): 12,
    }
    assert told(router, BURNING) == {}


def test_services_that_strangers_make_up_do_not_become_series_without_end(router):
    for number in range(MOST_SERVICES + 30):
        router.take(alert(service=f"shop-{number:02d}", start_s=number))

    assert {service for service, _ in told(router, TIMED_OUT)} == {
        f"shop-{number:02d}" for number in range(30, MOST_SERVICES + 30)
    }
    assert len(told(router, BURNING)) == MOST_SERVICES


def test_the_causes_that_are_counted_are_those_of_the_taxonomy():
    assert set(COUNTED) == {cause.id for cause in (*CAUSES, HEALTH_CHECK)} | {UNKNOWN}


def test_dashboards_learn_where_the_explorer_is():
    registry = CollectorRegistry()
    lead_to_explorer(registry, "https://why504.example.com")

    line = 'why504_alerts_explorer_info{url="https://why504.example.com"} 1.0'
    assert line in generate_latest(registry).decode().splitlines()
