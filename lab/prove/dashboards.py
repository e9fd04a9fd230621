"""A hang as whoever is on call meets it: rules fire, a card comes, and every dashboard has data.

Real Prometheus and Alertmanager, the router and a room; the dashboards' queries as Grafana asks.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lab.deployment import Deployment, deploy
from lab.faults import GATEWAY_TIMEOUT_S, Fault, fault
from lab.load import Plan
from lab.matrix.stored import OURS
from lab.outside import ACTIONS
from lab.prove import answered, beside
from lab.prove.alerts import WITHIN_S, Told, load_of, timeouts, watched
from lab.prove.answered import Answers
from lab.prove.on_call import RECEIVER, SERVICE, OnCall
from lab.prove.run import Run
from lab.prove.verdict import Check, Verdict
from lab.stack import alertmanager, prometheus, rabbitmq
from why504.errors import LabError

SERVICE_NAME: Final = "context-handling"
GIVEN: Final = {
    "service_name": SERVICE_NAME,
    "family": SERVICE_NAME,
    "explorer_url": "http://localhost:8501",
}
BEFORE_S: Final = 75.0
"""Of ordinary load: each series has a past then, as in production."""
LASTS_S: Final = 120.0
"""Rules want to see a hang for a minute."""
SETTLE_S: Final = 12.0
"""A scrape and an evaluation."""
WITHIN_MS: Final = 1_000.0


def prove(run: Run) -> Verdict:
    """Hang the service, and look at what everybody would see."""
    row = fault(run.fault)
    if row.alert == "none":
        raise LabError(f"{row.id} is the control, of which nothing fires: take another fault")
    _require_servers()
    run.say(f"{row.id}: starting the service, RabbitMQ, Prometheus, Alertmanager, the router")
    deployed = deploy(row, run.folder, run.stack)
    rest = beside.begin(deployed, run.folder / "beside", run.stack)
    targets = {
        SERVICE: deployed.metrics_address,
        RECEIVER: deployed.receiver_address,
        **rest.targets,
    }
    with rest.load(beside.WARM_S + BEFORE_S + WITHIN_S + 2 * LASTS_S):
        rest.wait_until_warm()
        on_call = OnCall.begin(run.folder, run.folder / OURS, targets, run.stack)
        healthy, cards = _ordinary(run, row, deployed, on_call)
        verdict = Verdict("demo-prometheus")
        before = sum(1 for _ in timeouts(deployed.gateway.access_log))
        verdict.checks += [
            Check("504s while all was well", before, 0),
            Check("P0 cards while all was well", cards, 0),
        ]
        _hang(run, row, deployed, on_call, healthy, verdict)
    return verdict


def _require_servers() -> None:
    """Say what is missing before anything takes a minute to start.

    Raises:
        LabError: something is; the message says how to get it.
    """
    servers = (
        (prometheus.find_binary(), prometheus.HOW_TO_GET_IT),
        (alertmanager.find_binary(), alertmanager.HOW_TO_GET_IT),
        (rabbitmq.find_binaries(), rabbitmq.HOW_TO_GET_IT),
    )
    if missing := [how for found, how in servers if found is None]:
        raise LabError("; ".join(missing))


def _ordinary(run: Run, row: Fault, deployed: Deployment, on_call: OnCall) -> tuple[Answers, int]:
    """Let ordinary load pass; return what the dashboards had, and how many P0 were told."""
    began_s = time.time()
    lasts_s = 20.0 if run.rehearsal else BEFORE_S
    run.say(f"ordinary load, {lasts_s:g} s")
    with load_of(deployed, Plan({**row.before, "score": 1}, lasts_s), seed=1) as before:
        before.wait(lasts_s + GATEWAY_TIMEOUT_S)
    time.sleep(SETTLE_S)
    asked, _ = answered.questions(GIVEN)
    healthy = answered.ask(on_call.prometheus, asked, began_s, time.time())
    run.say(f"{healthy.told} of {healthy.number} queries of the dashboards have data")
    return healthy, len(on_call.cards("P0"))


def _hang(
    run: Run, row: Fault, deployed: Deployment, on_call: OnCall, healthy: Answers, verdict: Verdict
) -> None:
    run.say(f"{row.id}: {row.description}")
    began_s = time.time()
    run.stack.enter_context(ACTIONS[row.outside](deployed.world))
    with load_of(deployed, Plan(row.during, WITHIN_S + LASTS_S), seed=2) as load:
        log = deployed.gateway.access_log
        told = watched(run, row, load, log, on_call, since_s=began_s)
        left_s = began_s + (30.0 if run.rehearsal else LASTS_S) - time.time()
        load.wait(max(0.0, left_s))
        time.sleep(SETTLE_S)
        # While it hangs, as somebody looks who was just woken up.
        ended_s = time.time()
        asked, elsewhere = answered.questions(GIVEN)
        hung = answered.ask(on_call.prometheus, asked, began_s, ended_s)
        verdict.checks += _alerting(row, on_call, told, began_s, ended_s, verdict.facts)
        verdict.checks += _showing(row, deployed, on_call, hung, healthy, began_s)
        verdict.facts["slowest query"] = max(hung.took_ms, key=lambda pair: pair[1])
        verdict.facts["without data while all was well"] = [one.where for one in healthy.empty]
        verdict.facts["queries without data"] = [f"{one.where}: {one.text}" for one in hung.empty]
        verdict.facts["queries that were refused"] = hung.refused
        verdict.facts["queries of what does not run here"] = [one.where for one in elsewhere]
    # It hangs: nobody waits for what is still open.
    deployed.service.kill()


def _alerting(
    row: Fault, on_call: OnCall, told: Told, began_s: float, ended_s: float, facts: dict[str, Any]
) -> list[Check]:
    fired = answered.fired(on_call.prometheus, began_s, ended_s)
    broken = [rule["name"] for rule in on_call.prometheus.rules() if rule["health"] != "ok"]
    facts["alerts, s after the first 504"] = {
        name: round(since_s - told.first_504_s, 1) for name, since_s in fired.items()
    }
    facts["cards"] = told.alerts
    facts["cause told"] = told.cause
    first_s = min(fired.values(), default=float("nan"))
    return [
        Check("first 504 to the first alert", told.after_s(first_s), WITHIN_S, "s"),
        Check("first 504 to the card", told.after_s(told.card_s), WITHIN_S, "s"),
        Check("first 504 to its cause", told.after_s(told.cause_s), WITHIN_S, "s"),
        Check(f"cards with the cause {row.trigger}", told.cause == row.trigger, 1, at_least=True),
        Check(f"alert {row.alert} fired", row.alert in fired, 1, at_least=True),
        Check("rules that could not be evaluated", len(broken), 0),
    ]


def _showing(
    row: Fault, deployed: Deployment, on_call: OnCall, hung: Answers, healthy: Answers,
    began_s: float,
) -> list[Check]:  # fmt: skip
    server = on_call.prometheus
    burning = server.query(f'why504_alerts_burning_incidents{{service="{SERVICE_NAME}"}} > 0')
    shown = {one["metric"]["cause"] for one in burning}
    given_up = 'why504_gateway_request_duration_seconds_bucket{status="504"}'
    exemplars = server.exemplars(given_up, began_s, time.time())
    traces = {one["labels"]["trace_id"] for one in exemplars} & _given_up(
        deployed.gateway.access_log
    )
    return [
        Check("queries of dashboards in the hang", hung.number, None, baseline=healthy.number),
        Check("of them without data", len(hung.empty), 0, baseline=len(healthy.empty)),
        Check("of them refused", len(hung.refused), 0, baseline=len(healthy.refused)),
        Check("p95 of how long they take", hung.p95_ms, WITHIN_MS, "ms", healthy.p95_ms),
        Check(f"dashboard names the cause {row.trigger}", shown == {row.trigger}, 1, at_least=True),
        Check("exemplars that lead to a 504", len(traces), 1, at_least=True),
    ]


def _given_up(access_log: Path) -> set[str]:
    """Return the trace ids of the gateway's 504s, by its own log."""
    with access_log.open(encoding="utf-8") as lines:
        told: list[Mapping[str, str]] = [json.loads(line) for line in lines if line.endswith("\n")]
    return {one["trace_id"] for one in told if one["status"] == "504"}
