"""A hang of the real service, and the card in the room: how soon it is there, and what it says.

From the first 504 to a card with the right cause, at most 120 s, for each of five hangs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.deployment import Deployment, deploy
from lab.faults import GATEWAY_TIMEOUT_S, Fault, fault
from lab.load import Load, Plan, shots
from lab.matrix.stored import OURS
from lab.outside import ACTIONS
from lab.prove.on_call import RECEIVER, SERVICE, OnCall, cause_in
from lab.prove.run import Run
from lab.prove.verdict import Check, Verdict

HANGS: Final = ("A1a", "A2b", "B1", "B3", "F1")
WITHIN_S: Final = 120.0
BEFORE_S: Final = 30.0
"""Of ordinary load: Prometheus has seen each series then, as it has in production."""
AFTER_S: Final = WITHIN_S + 60.0
LOOK_S: Final = 0.5


@dataclass(slots=True)
class Told:
    """When what was in the room, in Unix seconds; NaN = never."""

    first_504_s: float = float("nan")
    card_s: float = float("nan")
    cause_s: float = float("nan")
    cause: str = ""
    alerts: tuple[str, ...] = ()

    def after_s(self, moment_s: float) -> float:
        """Return how long after the first 504 something was; 0.0 if it was before."""
        # max() would hide a NaN.
        return moment_s - self.first_504_s if not moment_s < self.first_504_s else 0.0


def prove(run: Run) -> Verdict:
    """Hang the service in each way, and read what is in the room."""
    verdict = Verdict("prove-alerts")
    for fault_id in HANGS[:1] if run.rehearsal else HANGS:
        row = fault(fault_id)
        run.say(f"{row.id}: starting the service, Prometheus, Alertmanager, the router")
        with ExitStack() as stack:
            told = _hang(run, row, run.folder / row.id, stack)
        right = told.cause == row.trigger
        verdict.checks += [
            Check(f"{row.id}: first 504 to the card", told.after_s(told.card_s), WITHIN_S, "s"),
            Check(f"{row.id}: first 504 to its cause", told.after_s(told.cause_s), WITHIN_S, "s"),
            Check(f"{row.id}: cards with the cause {row.trigger}", right, 1, at_least=True),
        ]
        verdict.facts[row.id] = {"cause told": told.cause, "cards": told.alerts}
    return verdict


def _hang(run: Run, row: Fault, folder: Path, stack: ExitStack) -> Told:
    deployed = deploy(row, folder, stack)
    targets = {SERVICE: deployed.metrics_address, RECEIVER: deployed.receiver_address}
    on_call = OnCall.begin(folder, folder / OURS, targets, stack)
    run.say(f"{row.id}: ordinary load, {BEFORE_S:g} s")
    with load_of(deployed, Plan(row.before, BEFORE_S), seed=1) as before:
        before.wait(BEFORE_S + GATEWAY_TIMEOUT_S)
    run.say(f"{row.id}: {row.description}")
    stack.enter_context(ACTIONS[row.outside](deployed.world))
    with load_of(deployed, Plan(row.during, AFTER_S), seed=2) as load:
        told = watched(run, row, load, deployed.gateway.access_log, on_call)
    # It hangs: nobody waits for what is still open.
    deployed.service.kill()
    return told


def watched(
    run: Run, row: Fault, load: Load, log: Path, on_call: OnCall, *, since_s: float = 0.0
) -> Told:
    """Look until a card tells a cause, or the load is over; at nothing from before `since_s`."""
    told = Told()
    while load.running and not told.cause:
        time.sleep(LOOK_S)
        timeouts_s = (moment_s for moment_s in timeouts(log) if moment_s >= since_s)
        told.first_504_s = min(timeouts_s, default=float("nan"))
        cards = [card for card in on_call.cards("P0") if card["at"] >= since_s]
        told.alerts = tuple(card["text"] for card in cards)
        if cards and not told.card_s > 0:
            told.card_s = cards[0]["at"]
            run.say(f"{row.id}: {cards[0]['text']}")
        for card in cards:
            if cause := cause_in(card):
                told.cause, told.cause_s = cause, card["at"]
                run.say(f"{row.id}: cause {cause}, {told.cause_s - told.first_504_s:.0f} s after")
                break
    return told


def timeouts(access_log: Path) -> Iterator[float]:
    """Yield when the gateway answered 504, in Unix seconds, by its own log."""
    with access_log.open(encoding="utf-8") as lines:
        for line in lines:
            # The last line may be half written.
            if '"status":"504"' in line and line.endswith("\n"):
                yield float(json.loads(line)["ts"])


def load_of(deployed: Deployment, plan: Plan, *, seed: int) -> Load:
    """Return clients of the gateway, who wait for longer than it does."""
    return Load(deployed.gateway.url, shots(plan, seed), timeout_s=GATEWAY_TIMEOUT_S * 4)
