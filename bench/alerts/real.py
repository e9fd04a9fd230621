"""2,000 alerts by a real Alertmanager while the router is killed: its repeats do the rest."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from bench.alerts.obligations import judge
from bench.alerts.processes import Room, Router, dead_in, told_in, until
from bench.alerts.run import Run
from lab.stack.alertmanager import HOW_TO_GET_IT, Alertmanager, find_binary

ALERTS: Final = 2_000
KILLS: Final = 10
_GROUP: Final = 20
"""Alerts of one rule and one service, which come in one payload."""
_SEVERITIES: Final = ("p0", "p1", "p2")
_RAISED_AT_ONCE: Final = 50
_PAUSE_S: Final = 1.0
_UP_S: Final = (0.2, 6.0)
_WITHIN_S: Final = 300.0


def measure(run: Run) -> None:
    """Add how many alerts are in the room."""
    if find_binary() is None:
        run.say(f"no section `alertmanager`: {HOW_TO_GET_IT}")
        return
    raised = [_alert(n) for n in range(ALERTS)]
    owed = {fingerprint_of(one["labels"]): ["firing"] for one in raised}
    with Room(run.folder) as room:
        router = Router(run.folder, room, short_hour=True)
        with Alertmanager.start(run.folder / "alertmanager", router.url) as source:
            begun_s = time.monotonic()
            raising = threading.Thread(target=_raise, args=(source, raised), daemon=True)
            raising.start()
            _kill(router)
            raising.join()
            with router:
                until(lambda: _delivered(router) >= owed.keys(), _WITHIN_S, every_s=5.0)
                lasted_s = time.monotonic() - begun_s
        log, seen = router.log(), room.seen()
    wrong = judge(owed, told_in(seen["messages"], log), dead_in(log))
    run.at_most(f"alertmanager: of {ALERTS:,} alerts, lost", len(wrong.lost), 0)
    run.at_most("alertmanager: told by two messages", len(wrong.twice), 0)
    run.verdict.facts["alertmanager"] = {
        "kills of the router": KILLS,
        "messages": len(seen["messages"]),
        "seconds until all was told": round(lasted_s),
    }


def fingerprint_of(labels: Mapping[str, str]) -> str:
    """Return Alertmanager's fingerprint of labels: FNV-1a of names and values, 64 bits."""
    number = 0xCBF29CE484222325
    told = b"".join(
        part.encode() + b"\xff" for name in sorted(labels) for part in (name, labels[name])
    )
    for byte in told:
        number = (number ^ byte) * 0x100000001B3 % 2**64
    return f"{number:016x}"


def _alert(number: int) -> dict[str, Any]:
    group = number // _GROUP
    severity = _SEVERITIES[group % len(_SEVERITIES)]
    # Of each service one level: a P0 keeps Alertmanager from telling the others.
    labels = {"alertname": "PoolWait", "severity": severity, "service_name": f"{severity}-{group}",
              "instance": f"i-{number}"}  # fmt: skip
    return {"labels": labels, "annotations": {"summary": "too many requests wait"}}


def _raise(source: Alertmanager, raised: list[dict[str, Any]]) -> None:
    for first in range(0, ALERTS, _RAISED_AT_ONCE):
        source.raise_(raised[first : first + _RAISED_AT_ONCE])
        time.sleep(_PAUSE_S)


def _kill(router: Router) -> None:
    chance = random.Random(504)  # noqa: S311 - moments, no secret
    for _ in range(KILLS):
        router.start()
        time.sleep(chance.uniform(*_UP_S))
        router.kill()


def _delivered(router: Router) -> set[str]:
    delivered = [one["alerts"] for one in router.log() if one["state"] == "delivered"]
    return {alert["fingerprint"] for alerts in delivered for alert in alerts}
