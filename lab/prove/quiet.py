"""An hour of ordinary traffic: nobody is woken up.

The whole service, its relay and workers, watched by every rule.
"""

from __future__ import annotations

import time
from typing import Final
from urllib.parse import urlsplit

from lab.load import Plan
from lab.prove.deployment import API, RELAY, WORKER, deploy
from lab.prove.on_call import RECEIVER, SERVICE, OnCall
from lab.prove.on_call import RELAY as RELAY_TARGET
from lab.prove.on_call import WORKER as WORKER_TARGET
from lab.prove.run import Run
from lab.prove.traffic import Traffic, failed
from lab.prove.verdict import Check, Verdict

RATES: Final = {
    "end": 3.0, "end again": 0.2, "suggest": 4.0, "status": 4.0, "score": 0.5,
    "score and update": 0.5, "livez": 1.0, "health": 0.5,
}  # fmt: skip
HOUR_S: Final = 3600.0
REHEARSAL_S: Final = 30.0
PART_S: Final = 1700.0
"""A load has a bound of half an hour."""
MOST_FAILED: Final = 0.1
"""Percent: more of them, and it was no healthy hour."""
TELL_EVERY_S: Final = 300.0


def prove(run: Run) -> Verdict:
    """Let an hour pass, and count who was woken up."""
    lasts_s = REHEARSAL_S if run.rehearsal else HOUR_S
    run.say("starting the whole service, Prometheus, Alertmanager, the router")
    service = deploy(run.folder, run.stack)
    targets = {
        SERVICE: _address(service.of(API)[0].metrics_port),
        RELAY_TARGET: _address(service.of(RELAY)[0].metrics_port),
        WORKER_TARGET: _address(service.of(WORKER)[0].metrics_port),
        RECEIVER: urlsplit(service.environment["WHY504_ENDPOINT"]).netloc,
    }
    on_call = OnCall.begin(run.folder, run.folder / "store", targets, run.stack)
    ends_s = time.monotonic() + lasts_s
    replies = []
    for part in range(1, 100):
        left_s = ends_s - time.monotonic()
        if left_s <= 0:
            break
        plan = Plan(RATES, min(left_s, PART_S))
        folder = run.folder / f"traffic-{part}"
        with Traffic.start(folder, service.gateway.url, plan, seed=part) as traffic:
            _pass(run, on_call, time.monotonic() + plan.duration_s)
            replies += traffic.finish()
    verdict = Verdict("prove-alerts-quiet")
    p0, p1 = on_call.cards("P0"), on_call.cards("P1")
    rules = on_call.prometheus.rules()
    broken = [rule["name"] for rule in rules if rule["health"] != "ok"]
    verdict.checks += [
        Check("P0 cards in healthy traffic", len(p0), 0),
        Check("requests that failed, %", 100 * len(failed(replies)) / len(replies), MOST_FAILED),
        Check("rules that could not be evaluated", len(broken), 0),
    ]
    verdict.facts |= {
        "lasted_s": lasts_s,
        "requests": len(replies),
        "rules": len(rules),
        "P0": [card["text"] for card in p0],
        "P1": [card["text"] for card in p1],
    }
    return verdict


def _pass(run: Run, on_call: OnCall, until_s: float) -> None:
    while (left_s := until_s - time.monotonic()) > 0:
        time.sleep(min(left_s, TELL_EVERY_S))
        run.say(f"{len(on_call.cards('P0'))} P0, {len(on_call.cards('P1'))} P1 so far")


def _address(port: int) -> str:
    return f"127.0.0.1:{port}"
